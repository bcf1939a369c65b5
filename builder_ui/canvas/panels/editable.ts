// A text with chips in an editable element: read it, write it, find and set the caret. Offsets count the text's characters.
import { pieces } from "./data_list";

export type ChipLook = { label: string; title: string; lost: boolean };

const isChip = (node: Node): node is HTMLElement => node instanceof HTMLElement && node.dataset.raw !== undefined;
const isFiller = (node: Node) => node instanceof HTMLElement && node.dataset.end !== undefined;

/** The text as it is kept in the document. Whatever a browser or a paste has put in, its words are kept. */
export function readText(root: Node): string {
  let text = "";
  root.childNodes.forEach((node, i) => {
    if (node.nodeType === Node.TEXT_NODE) text += (node as Text).data;
    else if (isChip(node)) text += node.dataset.raw;
    else if (isFiller(node)) return;
    else if (node.nodeName === "BR") text += "\n";
    else if (node instanceof HTMLElement) text += (i && /^(DIV|P|LI)$/.test(node.nodeName) && !text.endsWith("\n") ? "\n" : "") + readText(node);
  });
  return text;
}

const lengthOf = (node: Node): number => {
  if (node.nodeType === Node.TEXT_NODE) return (node as Text).data.length;
  if (isChip(node)) return node.dataset.raw!.length;
  if (isFiller(node)) return 0;
  if (node.nodeName === "BR") return 1;
  return readText(node).length;
};

function chip(raw: string, look: ChipLook): HTMLElement {
  const element = document.createElement("span");
  element.className = "pp-chip";
  element.contentEditable = "false";
  element.dataset.raw = raw;
  if (look.lost) element.dataset.lost = "";
  element.title = look.title;
  element.textContent = look.label;
  return element;
}

/** Show a text. A line break at the very end needs something after it to be visible. */
export function writeText(root: HTMLElement, text: string, look: (path: string, filters: string) => ChipLook): void {
  const parts: Node[] = pieces(text).map((p) => ("text" in p ? document.createTextNode(p.text) : chip(p.raw, look(p.path, p.filters))));
  const end = document.createElement("br");
  end.dataset.end = "";
  root.replaceChildren(...parts, end);
}

/** Whether the element shows the chips its text has: after "}}" was typed by hand it does not. */
export function isInOrder(root: HTMLElement): boolean {
  const wanted = pieces(readText(root)).filter((p) => "raw" in p);
  const nodes = [...root.childNodes];
  const shown = nodes.filter(isChip);
  const isFlat = nodes.every((n) => n.nodeType === Node.TEXT_NODE || isChip(n) || isFiller(n));
  return isFlat && wanted.length === shown.length && nodes.some(isFiller) && wanted.every((p, i) => "raw" in p && p.raw === shown[i].dataset.raw);
}

/** Where the caret is, as an offset into the text; -1 when it is elsewhere. */
export function caretOffset(root: HTMLElement): number {
  const selection = window.getSelection();
  if (!selection?.rangeCount) return -1;
  const { endContainer, endOffset } = selection.getRangeAt(0);
  if (!root.contains(endContainer)) return -1;
  return offsetOf(root, endContainer, endOffset);
}

function offsetOf(root: Node, container: Node, offset: number): number {
  if (container === root) return [...root.childNodes].slice(0, offset).reduce((sum, n) => sum + lengthOf(n), 0);
  let sum = 0;
  for (const node of root.childNodes) {
    if (node === container && node.nodeType === Node.TEXT_NODE) return sum + offset;
    if (node.contains(container)) return isChip(node) ? sum + lengthOf(node) : sum + offsetOf(node, container, offset);
    sum += lengthOf(node);
  }
  return sum;
}

export function setCaret(root: HTMLElement, offset: number): void {
  const selection = window.getSelection();
  if (!selection) return;
  const range = document.createRange();
  let left = offset;
  const nodes = [...root.childNodes];
  let done = false;
  for (let i = 0; i < nodes.length && !done; i++) {
    const size = lengthOf(nodes[i]);
    if (nodes[i].nodeType === Node.TEXT_NODE && left <= size) {
      range.setStart(nodes[i], left);
      done = true;
    } else if (left < size || (left === 0 && size > 0)) {
      range.setStart(root, left > 0 ? i + 1 : i);
      done = true;
    }
    left -= size;
  }
  if (!done) range.setStart(root, Math.max(0, nodes.findIndex(isFiller) < 0 ? nodes.length : nodes.findIndex(isFiller)));
  range.collapse(true);
  selection.removeAllRanges();
  selection.addRange(range);
}

/** The selected part as text, chips as they are kept: for copying and cutting. */
export function selectedText(root: HTMLElement): string {
  const selection = window.getSelection();
  if (!selection?.rangeCount || !root.contains(selection.anchorNode)) return "";
  return readText(selection.getRangeAt(0).cloneContents());
}

/** Start and end of the selection as offsets. */
export function selectedSpan(root: HTMLElement): [number, number] {
  const selection = window.getSelection();
  if (!selection?.rangeCount || !root.contains(selection.anchorNode)) return [-1, -1];
  const range = selection.getRangeAt(0);
  return [offsetOf(root, range.startContainer, range.startOffset), offsetOf(root, range.endContainer, range.endOffset)];
}

/** Where a menu at the caret may stand, in window coordinates. */
export function caretPlace(root: HTMLElement): { x: number; y: number } {
  const selection = window.getSelection();
  const box = root.getBoundingClientRect();
  if (!selection?.rangeCount) return { x: box.left, y: box.bottom };
  const rect = selection.getRangeAt(0).getClientRects()[0];
  return rect ? { x: rect.left, y: rect.bottom } : { x: box.left + 8, y: Math.min(box.bottom, box.top + 28) };
}
