// Everything a text or a condition may read: variables, the contact, the message, outputs of steps, the moment.
import { stepName } from "../core/hooks";
import { t, type TextKey } from "../core/i18n";
import { useEditor, type EditorState } from "../core/store";
import { useTalk } from "./talk";

export type DataItem = { path: string; label: string; group: string; type: string };
export type Piece = { text: string } | { raw: string; path: string; filters: string };

const FIXED: [string, TextKey, TextKey, string][] = [
  ["contact.first_name", "data.first_name", "data.contact", "text"],
  ["contact.last_name", "data.last_name", "data.contact", "text"],
  ["contact.email", "data.email", "data.contact", "text"],
  ["contact.phone", "data.phone", "data.contact", "text"],
  ["contact.language", "data.language", "data.contact", "text"],
  ["message.text", "data.message_text", "data.message", "text"],
  ["call.from", "data.call_from", "data.call", "text"],
  ["call.to", "data.call_to", "data.call", "text"],
  ["now", "data.now", "data.other", "date"],
  ["conversation.channel", "data.channel", "data.other", "text"],
  ["workspace.name", "data.workspace", "data.other", "text"],
];

/** Steps that come before `nodeId` on some path: only their outputs can be known there. */
export function stepsBefore(s: EditorState, nodeId: string): string[] {
  const seen = new Set<string>();
  const queue = [nodeId];
  while (queue.length)
    for (const ref of s.index.incoming[queue.pop()!] ?? []) {
      const source = ref.slice(0, ref.indexOf("."));
      if (!seen.has(source)) {
        seen.add(source);
        queue.push(source);
      }
    }
  return [...seen];
}

export function dataItems(s: EditorState, nodeId: string): DataItem[] {
  const items: DataItem[] = Object.entries(s.doc.variables).map(([id, v]) => ({
    path: `var.${id}`, label: v.label || id, group: t("data.variables"), type: v.type,
  }));
  for (const [path, label, group, type] of FIXED) items.push({ path, label: t(label), group: t(group), type });
  for (const id of stepsBefore(s, nodeId)) {
    const outputs = s.types[s.doc.nodes[id]?.type]?.outputs ?? {};
    for (const [name, label] of Object.entries(outputs))
      items.push({ path: `step.${id}.${name}`, label, group: `${t("data.step")} “${stepName(s, id)}”`, type: "text" });
  }
  return items;
}

/** What a path is called; the path itself when nothing known is meant. */
export function pathLabel(s: EditorState, path: string): string {
  const [root, name, ...rest] = path.split(".");
  if (root === "var") {
    const label = s.doc.variables[name]?.label || name;
    return rest.length ? `${label} · ${rest.join(" · ")}` : label;
  }
  if (root === "step") {
    const label = s.types[s.doc.nodes[name]?.type]?.outputs?.[rest[0]] ?? rest.join(".");
    return `${stepName(s, name) || name} · ${label}`;
  }
  const fixed = FIXED.find(([p]) => p === path);
  return fixed ? t(fixed[1]) : path;
}

export const isKnownPath = (s: EditorState, path: string): boolean => {
  const [root, name] = path.split(".");
  if (root === "var") return !!s.doc.variables[name];
  if (root === "step") return !!s.doc.nodes[name];
  return ["contact", "message", "conversation", "call", "now", "workspace"].includes(root);
};

const CHIP = /\{\{-?\s*((?:var|contact|message|conversation|call|step|now|workspace)(?:\.[\w-]+)*)\s*((?:\|[^{}]*)?)-?\}\}/g;

/** A text cut into plain words and chips; joined again it is the same text, character for character. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(CHIP)) {
    if (match.index > at) found.push({ text: text.slice(at, match.index) });
    found.push({ raw: match[0], path: match[1], filters: match[2].trim() });
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push({ text: text.slice(at) });
  return found;
}

const normal = (text: string) => text.toLocaleLowerCase().replace(/ё/g, "е");
export const searchData = (items: DataItem[], query: string): DataItem[] => {
  const wanted = normal(query.replace(/^[{\s/]+/, "").trim());
  if (!wanted) return items;
  const starts = items.filter((i) => normal(i.label).startsWith(wanted));
  return [...starts, ...items.filter((i) => !starts.includes(i) && normal(`${i.label} ${i.path} ${i.group}`).includes(wanted))];
};

/** The value a path had last in the test conversation; undefined when it is not known. */
export function lastValue(path: string): unknown {
  const [root, name, ...rest] = path.split(".");
  if (root !== "var") return undefined;
  let value: any = useTalk.getState().values[name];
  for (const part of rest) value = value?.[part];
  return value;
}

export const shownValue = (value: unknown): string =>
  value === null || value === undefined || value === "" ? t("data.empty") : typeof value === "string" ? value : JSON.stringify(value);

export const useVariables = () => useEditor((s) => s.doc.variables);
