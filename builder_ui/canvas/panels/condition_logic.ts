// Conditions as the builder edits them: mirror of the shapes in contract/conditions.py, and the operators in words.
import type { TextKey } from "../core/i18n";

export type Comparison = { left: any; op: string; right?: any };
export type Condition = { all: Condition[] } | { any: Condition[] } | { not: Condition } | Comparison;
export const MAX_DEPTH = 4;
export const UNARY = new Set(["empty", "not_empty", "is_true", "is_false"]);
export const LISTS = new Set(["in", "not_in"]);

const TEXT = ["eq", "ne", "contains", "not_contains", "starts_with", "ends_with", "in", "not_in", "matches", "empty", "not_empty"];
const NUMBER = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "empty", "not_empty"];
const OPERATORS: Record<string, string[]> = {
  text: TEXT,
  number: NUMBER,
  boolean: ["is_true", "is_false", "empty", "not_empty"],
  date: ["eq", "ne", "gt", "gte", "lt", "lte", "empty", "not_empty"],
  list: ["contains", "not_contains", "empty", "not_empty"],
  object: ["empty", "not_empty"],
  file: ["empty", "not_empty"],
  any: ["eq", "ne", "gt", "gte", "lt", "lte", "contains", "not_contains", "starts_with", "ends_with", "in", "not_in", "matches", "empty", "not_empty", "is_true", "is_false"],
};
export const operatorsFor = (type: string): string[] => OPERATORS[type] ?? OPERATORS.any;

/** The words of an operator; dates are "before" and "after" where numbers are "less" and "more". */
export const operatorKey = (op: string, type: string): TextKey =>
  (type === "date" && ["gt", "gte", "lt", "lte"].includes(op) ? `op.date_${op}` : `op.${op}`) as TextKey;

export const isGroup = (c: any): c is { all: Condition[] } | { any: Condition[] } => !!c && typeof c === "object" && ("all" in c || "any" in c);
export const isNot = (c: any): c is { not: Condition } => !!c && typeof c === "object" && "not" in c;
export const partsOf = (c: any): Condition[] => ("all" in c ? c.all : c.any) ?? [];
export const modeOf = (c: any): "all" | "any" => ("any" in c ? "any" : "all");
export const group = (mode: "all" | "any", parts: Condition[]): Condition => (mode === "all" ? { all: parts } : { any: parts });
export const freshComparison = (): Comparison => ({ left: { ref: "" }, op: "eq", right: { value: "" } });

/** The outermost level as a group, whatever the document holds. */
export function asGroup(value: any): { all: Condition[] } | { any: Condition[] } {
  if (isGroup(value)) return value;
  if (isNot(value) || (value && typeof value === "object" && "op" in value)) return { all: [value] };
  return { all: [] };
}

/** Another operator: what stands right of it appears, disappears or becomes a list. */
export function withOperator(c: Comparison, op: string): Comparison {
  const next: Comparison = { left: c.left, op };
  if (UNARY.has(op)) return next;
  const right = c.right ?? { value: "" };
  if ("value" in right && LISTS.has(op) && !Array.isArray(right.value)) next.right = { value: right.value === "" || right.value == null ? [] : [right.value] };
  else if ("value" in right && !LISTS.has(op) && Array.isArray(right.value)) next.right = { value: right.value[0] ?? "" };
  else next.right = right;
  return next;
}
