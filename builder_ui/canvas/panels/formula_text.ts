// A calculation read aloud: "Price × 2 + Delivery", so that the blocks can be checked at a glance.
import { t, type TextKey } from "../core/i18n";
import { useEditor, type EditorState } from "../core/store";
import { pathLabel } from "./data_list";

const SIGNS: Record<string, string> = { add: " + ", sub: " − ", mul: " × ", div: " ÷ " };

export function formulaText(s: EditorState, f: any, isInner = false): string {
  if (!f || typeof f !== "object") return "…";
  if ("ref" in f) return f.ref ? pathLabel(s, f.ref) : "…";
  if ("text" in f) return f.text ? `“${f.text}”` : "…";
  if (!("fn" in f)) return f.value === null || f.value === undefined || f.value === "" ? "…" : String(f.value);
  const args = (f.args ?? []).map((a: any) => formulaText(s, a, true));
  const sign = SIGNS[f.fn];
  if (sign) return isInner ? `(${args.join(sign)})` : args.join(sign);
  const name = t(`fn.${f.fn}` as TextKey);
  return args.length ? `${name} (${args.join(", ")})` : name;
}

export function useFormulaText(value: any): string {
  useEditor((s) => s.doc.variables);
  return formulaText(useEditor.getState(), value);
}
