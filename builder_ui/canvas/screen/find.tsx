// Ctrl+F: find a text in names and settings of all steps, and replace it; one undo entry per replace.
import { ChevronDown, ChevronUp, X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { t } from "../core/i18n";
import { dispatch, reveal, show, toast, useEditor } from "../core/store";
import type { Edit, Flow } from "../core/types";
import { IconButton } from "./parts";

export function FindBar() {
  const isOpen = useEditor((s) => !!s.panels.find);
  return isOpen ? <Open /> : null;
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const pattern = (text: string) => new RegExp(escaped(text), "giu");

function stringsIn(value: any): string[] {
  if (typeof value === "string") return [value];
  if (value && typeof value === "object") return Object.values(value).flatMap(stringsIn);
  return [];
}

/** Steps, in reading order, whose name, note or settings hold the text. */
export function stepsWith(doc: Flow, text: string): string[] {
  if (!text) return [];
  const found = Object.keys(doc.nodes).filter((id) => {
    const { name, note, settings } = doc.nodes[id];
    return [name, note, ...stringsIn(settings)].some((x) => pattern(text).test(x));
  });
  const at = (id: string) => doc.layout.nodes[id] ?? [0, 0];
  return found.sort((a, b) => at(a)[0] - at(b)[0] || at(a)[1] - at(b)[1]);
}

/** Replace inside a settings value; ids and other short words of the machine (no space, keys `id`, `kind`) stay. */
function replaced(value: any, text: string, by: string, key = ""): any {
  if (typeof value === "string") return key === "id" || key === "kind" || key === "op" || key === "ref" ? value : value.replace(pattern(text), () => by);
  if (Array.isArray(value)) return value.map((v) => replaced(v, text, by));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, replaced(v, text, by, k)]));
  return value;
}

const WORDY = new Set(["text", "textarea", "template", "line_template", "strings", "list", "group"]);

export function replaceEdits(doc: Flow, ids: string[], text: string, by: string): Edit[] {
  const { types } = useEditor.getState();
  const edits: Edit[] = [];
  for (const id of ids) {
    const node = doc.nodes[id];
    const set: Record<string, any> = {};
    for (const field of types[node.type]?.form ?? []) {
      const value = node.settings[field.key];
      if (value === undefined || !WORDY.has(field.widget)) continue;
      const next = replaced(value, text, by);
      if (JSON.stringify(next) !== JSON.stringify(value)) set[field.key] = next;
    }
    if (Object.keys(set).length) edits.push({ kind: "change_settings", id, set });
    const name = node.name.replace(pattern(text), () => by);
    if (name !== node.name) edits.push({ kind: "change_node", id, name });
  }
  return edits;
}

function Open() {
  const doc = useEditor((s) => s.doc);
  const viewOnly = useEditor((s) => s.viewOnly);
  const [text, setText] = useState("");
  const [by, setBy] = useState("");
  const [at, setAt] = useState(0);
  const found = useMemo(() => stepsWith(doc, text), [doc.nodes, text]);
  const go = (step: number) => {
    if (!found.length) return;
    const next = (at + step + found.length) % found.length;
    setAt(next);
    reveal(found[next]);
  };
  useEffect(() => {
    setAt(0);
    if (found[0]) reveal(found[0]);
  }, [text]);
  const replace = (ids: string[]) => {
    const edits = replaceEdits(doc, ids, text, by);
    if (dispatch(edits, { label: t("find.replace") })) toast(t("find.replaced", { n: new Set(edits.map((e) => "id" in e && e.id)).size }));
  };
  return (
    <search className="pc-find" onKeyDown={(e) => { if (e.key === "Escape") show("find", false); e.stopPropagation(); }} data-testid="find">
      <input autoFocus value={text} placeholder={t("find.title")} aria-label={t("find.title")} onChange={(e) => setText(e.target.value)}
        onKeyDown={(e) => e.key === "Enter" && go(e.shiftKey ? -1 : 1)} />
      <output aria-live="polite">{text ? t("find.count", { at: found.length ? at + 1 : 0, n: found.length }) : ""}</output>
      <IconButton label={t("find.previous")} onClick={() => go(-1)}><ChevronUp size={15} /></IconButton>
      <IconButton label={t("find.next")} onClick={() => go(1)}><ChevronDown size={15} /></IconButton>
      <IconButton label={t("close")} onClick={() => show("find", false)}><X size={15} /></IconButton>
      {!viewOnly && (
        <div>
          <input value={by} placeholder={t("find.by")} aria-label={t("find.by")} onChange={(e) => setBy(e.target.value)} />
          <button type="button" className="pc-button" disabled={!found.length} onClick={() => { replace([found[Math.min(at, found.length - 1)]]); }}>{t("find.replace")}</button>
          <button type="button" className="pc-button" disabled={!found.length} onClick={() => replace(found)}>{t("find.all")}</button>
        </div>
      )}
    </search>
  );
}
