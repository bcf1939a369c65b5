// Step types as the palette and the picker list them: searched, grouped, recent and likely first.
import type { EditorState } from "../core/store";
import type { StepType } from "../core/types";

const RECENT = "patchcord.recent_steps";
/** What usually follows a step of a category. */
const LIKELY: Record<string, string[]> = {
  start: ["send_message", "ask", "ask_choice", "prompt"],
  talk: ["ask", "ask_choice", "prompt", "end"],
  ask: ["branch", "validate", "send_message", "set_variable"],
  ai: ["send_message", "branch", "ask", "validate"],
  logic: ["send_message", "ask", "prompt", "end"],
  data: ["branch", "send_message"],
};

export function recentTypes(): string[] {
  try {
    return JSON.parse(localStorage.getItem(RECENT) ?? "[]");
  } catch {
    return [];
  }
}

export function rememberType(type: string): void {
  const list = [type, ...recentTypes().filter((x) => x !== type)].slice(0, 4);
  localStorage.setItem(RECENT, JSON.stringify(list));
}

const normal = (text: string) => text.toLocaleLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "").replace(/ё/g, "е");

/** How well a type fits a search: 0 is not at all. */
function fit(type: StepType, query: string): number {
  const label = normal(type.label);
  if (label.startsWith(query)) return 4;
  if (label.includes(query)) return 3;
  if (type.type.includes(query)) return 2;
  return normal(type.summary).includes(query) ? 1 : 0;
}

export function searchTypes(s: EditorState, text: string): StepType[] {
  const query = normal(text.trim());
  const all = s.catalog.node_types;
  if (!query) return all;
  return all
    .map((type) => ({ type, score: fit(type, query) }))
    .filter((x) => x.score)
    .sort((a, b) => b.score - a.score)
    .map((x) => x.type);
}

/** Types for the picker: what is likely after this step, then recent ones, then the rest. */
export function suggestedTypes(s: EditorState, from: string | undefined): StepType[] {
  const node = from ? s.doc.nodes[from.slice(0, from.indexOf("."))] : undefined;
  const category = node ? s.types[node.type]?.category : "start";
  const wanted = [...(LIKELY[category ?? "start"] ?? []), ...recentTypes()];
  const first = [...new Set(wanted)].map((id) => s.types[id]).filter((type): type is StepType => !!type && !type.entry);
  return [...first, ...s.catalog.node_types.filter((type) => !first.includes(type) && !(from && type.entry))];
}

export const groupedTypes = (s: EditorState, types: StepType[]): { id: string; label: string; types: StepType[] }[] =>
  s.catalog.categories
    .map((c) => ({ id: c.id, label: c.label, types: types.filter((type) => type.category === c.id).sort((a, b) => Number(!!b.entry) - Number(!!a.entry)) }))
    .filter((group) => group.types.length);
