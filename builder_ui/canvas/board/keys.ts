// Keys of the canvas. Fields keep their own keys; one tab stop for the whole canvas, arrows walk along the wires.
import { useReactFlow } from "@xyflow/react";
import { useEffect, type RefObject } from "react";
import { splitPort } from "../core/edits";
import { portsOf } from "../core/hooks";
import { patchState, redo, reveal, select, show, undo, useEditor } from "../core/store";
import type { Point } from "../core/types";
import { clipboardText, cutSelection, duplicateSelection, pasteText } from "./clipboard";
import { moveSteps, nextPlace, removeSelection, setEnabled } from "./steps";
import { tidy } from "./tidy";

const get = useEditor.getState;
let pointer: { x: number; y: number } | null = null;

const isField = (e: Event): boolean =>
  !!(e.target as Element | null)?.closest?.("input, textarea, select, [contenteditable=true], .pc-dialog");

export function useKeys(root: RefObject<HTMLDivElement | null>): void {
  const flow = useReactFlow();
  useEffect(() => {
    const center = (): Point => {
      const box = root.current!.getBoundingClientRect();
      const inside = pointer && pointer.x > box.left && pointer.x < box.right && pointer.y > box.top && pointer.y < box.bottom;
      const p = flow.screenToFlowPosition(inside ? pointer! : { x: box.x + box.width / 2, y: box.y + box.height / 2 });
      return [p.x, p.y];
    };
    const openPicker = () => {
      const place = nextPlace(center());
      const p = flow.flowToScreenPosition({ x: place.at[0], y: place.at[1] });
      const { wire } = get();
      patchState({ picker: { at: place.at, screen: [p.x, p.y], from: wire ? undefined : place.from, insert: wire ?? undefined } });
    };
    const onKeyDown = (e: KeyboardEvent) => {
      if (global(e)) return e.preventDefault();
      if (isField(e) || e.defaultPrevented) return;
      if (onCanvas(e, root.current, openPicker, flow)) e.preventDefault();
    };
    const onCopy = (e: ClipboardEvent) => {
      if (isField(e) || !get().selection.length || hasMarkedText()) return;
      e.clipboardData?.setData("text/plain", clipboardText());
      e.preventDefault();
      if (e.type === "cut" && !get().viewOnly) cutSelection();
    };
    const onPaste = (e: ClipboardEvent) => {
      if (isField(e) || get().viewOnly) return;
      if (pasteText(e.clipboardData?.getData("text/plain") ?? "", center())) e.preventDefault();
    };
    const onMove = (e: PointerEvent) => {
      pointer = { x: e.clientX, y: e.clientY };
    };
    window.addEventListener("keydown", onKeyDown);
    document.addEventListener("copy", onCopy);
    document.addEventListener("cut", onCopy);
    document.addEventListener("paste", onPaste);
    window.addEventListener("pointermove", onMove, { passive: true });
    return () => {
      window.removeEventListener("keydown", onKeyDown);
      document.removeEventListener("copy", onCopy);
      document.removeEventListener("cut", onCopy);
      document.removeEventListener("paste", onPaste);
      window.removeEventListener("pointermove", onMove);
    };
  }, [flow, root]);
}

/** Words that somebody has marked in a panel are what they mean to copy; the canvas itself cannot be marked. */
const hasMarkedText = (): boolean => {
  const marked = window.getSelection();
  return !!marked && !marked.isCollapsed && !!String(marked).trim();
};

/** Letter keys by their place on the keyboard, so that Ctrl+Z works in a Cyrillic layout too. */
const letter = (e: KeyboardEvent): string => (e.code.startsWith("Key") ? e.code.slice(3).toLowerCase() : e.key);

/** Keys that work everywhere, also inside fields. */
function global(e: KeyboardEvent): boolean {
  if (!(e.ctrlKey || e.metaKey) || e.altKey) return false;
  const key = letter(e);
  if (key === "k") show("goto", !get().panels.goto);
  else if (key === "f") show("find", true);
  else if (e.key === "Enter") show("test", true);
  else return false;
  return true;
}

type Flow = ReturnType<typeof useReactFlow>;

function onCanvas(e: KeyboardEvent, root: HTMLDivElement | null, openPicker: () => void, flow: Flow): boolean {
  const s = get();
  const key = letter(e);
  const hasFocus = document.activeElement === root || document.activeElement === document.body;
  if (e.ctrlKey || e.metaKey) {
    if (key === "z") e.shiftKey ? redo() : undo();
    else if (key === "y") redo();
    else if (key === "a") select(Object.keys(s.doc.nodes));
    else if (key === "d") duplicateSelection();
    else return false;
    return true;
  }
  if (e.key === "Escape") return escape();
  if (e.key === "?") show("shortcuts", true);
  else if (e.key === "F2" && s.selection.length === 1) patchState({ renaming: s.selection[0] });
  else if ((e.key === "Delete" || e.key === "Backspace") && (s.selection.length || s.wire)) removeSelection();
  else if (!hasFocus) return false;
  else if (e.key === "/" || e.key === "." && e.code === "Slash") openPicker();
  else if (e.key === "Tab" && !e.shiftKey && s.selection.length === 1 && !s.viewOnly) openPicker();
  else if (e.altKey && e.key.startsWith("Arrow")) nudge(e.key, e.shiftKey ? 40 : 8);
  else if (e.key.startsWith("Arrow")) walk(e.key, flow);
  else if (e.key === "Enter" && s.selection.length === 1) document.querySelector<HTMLElement>(".pc-inspector input, .pc-inspector textarea")?.focus();
  else if (e.shiftKey && e.code === "Digit1") void flow.fitView({ padding: 0.15, maxZoom: 1, duration: 160 });
  else if (e.shiftKey && key === "t") void tidy();
  else if (e.shiftKey && key === "e" && s.selection.length) setEnabled(s.selection, !s.doc.nodes[s.selection[0]]?.enabled);
  else return false;
  return true;
}

function escape(): boolean {
  const s = get();
  const open = (["shortcuts", "goto", "find", "outline", "palette"] as const).find((panel) => s.panels[panel]);
  if (open) show(open, false);
  else if (s.selection.length || s.wire) select([]);
  else return false;
  return true;
}

function nudge(key: string, by: number): void {
  const { selection, doc } = get();
  const dx = key === "ArrowLeft" ? -by : key === "ArrowRight" ? by : 0;
  const dy = key === "ArrowUp" ? -by : key === "ArrowDown" ? by : 0;
  moveSteps(Object.fromEntries(selection.map((id) => {
    const [x, y] = doc.layout.nodes[id] ?? [0, 0];
    return [id, [x + dx, y + dy] as Point];
  })));
}

/** Right follows a wire, left goes back along one, up and down go to the neighbour on the same exits or nearest by. */
function walk(key: string, flow: Flow): void {
  const s = get();
  const id = s.selection[0];
  if (!id) {
    const first = s.doc.entry.message ?? Object.keys(s.doc.nodes)[0];
    if (first) reveal(first);
    return;
  }
  let next: string | undefined;
  if (key === "ArrowRight") {
    const port = portsOf(s, id).find((p) => s.doc.edges[`${id}.${p.id}`]);
    next = port && s.doc.edges[`${id}.${port.id}`];
  } else if (key === "ArrowLeft") next = s.index.incoming[id]?.map((port) => splitPort(port)[0])[0];
  next ??= nearest(id, key);
  if (!next || next === id) return;
  select([next]);
  const at = s.doc.layout.nodes[next];
  const p = at && flow.flowToScreenPosition({ x: at[0], y: at[1] });
  if (p && (p.x < 70 || p.y < 70 || p.x > window.innerWidth - 640 || p.y > window.innerHeight - 200)) reveal(next);
}

function nearest(id: string, key: string): string | undefined {
  const { doc } = get();
  const [x, y] = doc.layout.nodes[id] ?? [0, 0];
  const sideways = key === "ArrowLeft" || key === "ArrowRight";
  const sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  let best: string | undefined;
  let least = Infinity;
  for (const [other, [ox, oy]] of Object.entries(doc.layout.nodes)) {
    const along = sign * (sideways ? ox - x : oy - y);
    const across = Math.abs(sideways ? oy - y : ox - x);
    if (other === id || along <= 0 || !doc.nodes[other]) continue;
    const far = along + across * 2;
    if (far < least) [best, least] = [other, far];
  }
  return best;
}
