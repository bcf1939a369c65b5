// Copy, cut and paste as JSON on the clipboard: between flows, tabs and messages; new ids, references rewritten.
import { splitPort } from "../core/edits";
import { t } from "../core/i18n";
import { newId } from "../core/ids";
import { dispatch, select, toast, useEditor } from "../core/store";
import type { Edit, Flow, FlowNode, Point, Port, Slot, Variable } from "../core/types";
import { cardHeight, clearBelow, snap } from "./geometry";
import { removeSelection, sizeOf } from "./steps";

type Piece = {
  patchcord: "steps/1";
  nodes: Record<string, FlowNode>;
  edges: Record<string, string>;
  places: Record<string, Point>;
  variables: Record<string, Variable>;
  connections: Record<string, Slot>;
  i18n: Record<string, Record<string, string>>;
  ports: Record<string, Port[]>;
};

const get = useEditor.getState;
export function pieceOf(doc: Flow, ids: string[], ports: Record<string, Port[]> = {}): Piece {
  const chosen = new Set(ids);
  const pick = <T,>(map: Record<string, T>, keep: (key: string, value: T) => boolean): Record<string, T> =>
    Object.fromEntries(Object.entries(map).filter(([key, value]) => keep(key, value)));
  const nodes = pick(doc.nodes, (id) => chosen.has(id));
  const text = JSON.stringify(nodes);
  const mentions = (word: string) => new RegExp(`(var\\.|")${word}\\b`).test(text);
  return {
    patchcord: "steps/1",
    nodes,
    edges: pick(doc.edges, (port, target) => chosen.has(splitPort(port)[0]) && chosen.has(target)),
    places: pick(doc.layout.nodes, (id) => chosen.has(id)),
    variables: pick(doc.variables, mentions),
    connections: pick(doc.connections, mentions),
    i18n: Object.fromEntries(
      Object.entries(doc.i18n).map(([lang, texts]) => [lang, pick(texts, (key) => chosen.has(splitPort(key)[0]))]),
    ),
    ports: pick(ports, (id) => chosen.has(id)),
  };
}

/** Edits that add a piece with fresh ids, and the ids of the new steps. */
export function pasteEdits(doc: Flow, piece: Piece, at: Point): { edits: Edit[]; ids: Record<string, string> } {
  const ids = Object.fromEntries(Object.keys(piece.nodes).map((id) => [id, newId("n")]));
  const places = Object.values(piece.places);
  const left = Math.min(...places.map((p) => p[0]), Infinity);
  const top = Math.min(...places.map((p) => p[1]), Infinity);
  const edits: Edit[] = [];
  for (const [id, variable] of Object.entries(piece.variables))
    if (!doc.variables[id]) edits.push({ kind: "set_variable", id, variable });
  for (const [id, connection] of Object.entries(piece.connections))
    if (!doc.connections[id]) edits.push({ kind: "set_connection", id, connection });
  for (const [id, node] of Object.entries(piece.nodes)) {
    const [x, y] = piece.places[id] ?? [left, top];
    const place: Point = snap([at[0] + (Number.isFinite(left) ? x - left : 0), at[1] + (Number.isFinite(top) ? y - top : 0)]);
    edits.push({ kind: "add_node", id: ids[id], node: { ...node, settings: rewritten(node.settings, ids) }, at: place });
  }
  for (const [port, target] of Object.entries(piece.edges)) {
    const [source, name] = splitPort(port);
    if (ids[source] && ids[target]) edits.push({ kind: "connect", port: `${ids[source]}.${name}`, target: ids[target] });
  }
  for (const [language, texts] of Object.entries(piece.i18n))
    for (const [key, text] of Object.entries(texts)) {
      const [source, rest] = splitPort(key);
      if (ids[source]) edits.push({ kind: "set_text", language, key: `${ids[source]}.${rest}`, text });
    }
  return { edits, ids };
}

/** References to steps of the piece, as ids and as `step.<id>.…` inside texts, point to the copies. */
function rewritten(value: any, ids: Record<string, string>): any {
  if (typeof value === "string") {
    if (ids[value]) return ids[value];
    return value.replace(/\bstep\.([a-z][a-z0-9_]*)\b/g, (whole, id: string) => (ids[id] ? `step.${ids[id]}` : whole));
  }
  if (Array.isArray(value)) return value.map((v) => rewritten(v, ids));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, rewritten(v, ids)]));
  return value;
}

/** The selected steps as clipboard text. */
export function clipboardText(): string {
  const { selection, doc, ports } = get();
  toast(t("clip.copied", { n: selection.length }));
  return JSON.stringify(pieceOf(doc, selection, ports), null, 1);
}

/** For menus, where there is no clipboard event: needs a secure page. */
export const copyFromMenu = (): void => void navigator.clipboard?.writeText(clipboardText()).catch(() => undefined);

export const cutSelection = (): void => removeSelection();

/** Add what a text holds: a copied piece or a whole flow document. Returns false when it is neither. */
export function pasteText(text: string, at: Point): boolean {
  const piece = readPiece(text);
  if (!piece) return false;
  addPiece(piece, at);
  return true;
}

export function duplicateSelection(): void {
  const { selection, doc, ports } = get();
  if (!selection.length) return;
  const piece = pieceOf(doc, selection, ports);
  const places = Object.values(piece.places);
  addPiece(piece, [Math.min(...places.map((p) => p[0])) + 32, Math.min(...places.map((p) => p[1])) + 48]);
}

function addPiece(piece: Piece, at: Point): void {
  const { doc, ports, types } = get();
  const places = Object.entries(piece.places);
  const left = Math.min(...places.map(([, p]) => p[0]));
  const top = Math.min(...places.map(([, p]) => p[1]));
  const wanted = places.map(([id, p]): [Point, number] => [
    [at[0] + p[0] - left, at[1] + p[1] - top], cardHeight(piece.ports[id]?.length ?? 1, true),
  ]);
  const { edits, ids } = pasteEdits(doc, piece, [at[0], at[1] + clearBelow(doc, wanted, sizeOf)]);
  const known = Object.fromEntries(Object.entries(piece.ports).filter(([id]) => ids[id]).map(([id, p]) => [ids[id], p]));
  useEditor.setState({ ports: { ...ports, ...known } });
  const entry = Object.entries(piece.nodes).find(([, node]) => types[node.type]?.entry);
  if (entry && !doc.entry.message) edits.push({ kind: "set_start", trigger: "message", node: ids[entry[0]] });
  if (dispatch(edits, { label: t("clip.paste") })) select(Object.values(ids));
}

export function readPiece(text: string): Piece | null {
  let value: any;
  try {
    value = JSON.parse(text.trim().replace(/^```(json)?|```$/g, ""));
  } catch {
    return null;
  }
  if (value?.patchcord === "steps/1" && value.nodes) return { ...EMPTY_PIECE, ...value };
  if (value?.format !== "flow/1" || !value.nodes) return null;
  const nodes: Record<string, FlowNode> = {};
  for (const [id, node] of Object.entries<any>(value.nodes))
    nodes[id] = { v: 1, name: "", note: "", enabled: true, settings: {}, ...node };
  return { ...EMPTY_PIECE, ...value, patchcord: "steps/1", nodes, places: value.layout?.nodes ?? {}, ports: {} };
}

const EMPTY_PIECE: Piece = { patchcord: "steps/1", nodes: {}, edges: {}, places: {}, variables: {}, connections: {}, i18n: {}, ports: {} };
