// What people do to steps, as edits: add, insert, connect, delete, duplicate, arrange.
import { splitPort } from "../core/edits";
import { portsOf, stepName } from "../core/hooks";
import { t } from "../core/i18n";
import { newId } from "../core/ids";
import { camera, dispatch, patchState, select, toast, undo, useEditor } from "../core/store";
import type { Edit, Flow, FlowNode, Point, StepType } from "../core/types";
import { CARD_WIDTH, cardHeight, COLUMN, freePlace, placeBetween, snap } from "./geometry";

const get = useEditor.getState;
/** Measured heights of cards; the board fills this in. */
export const measured: { height(id: string): number | undefined } = { height: () => undefined };

export const sizeOf = (id: string): number =>
  measured.height(id) ?? cardHeight(portsOf(get(), id).length, true);

function defaults(type: StepType): Record<string, any> {
  const settings: Record<string, any> = {};
  for (const field of type.form) {
    if (field.widget === "connection") settings[field.key] = slotFor(field.of) ?? field.default;
    else if (field.required && field.default !== null && field.default !== undefined) settings[field.key] = field.default;
  }
  return Object.fromEntries(Object.entries(settings).filter(([, v]) => v !== null && v !== undefined));
}

const slotFor = (kind: string): string | undefined =>
  Object.entries(get().doc.connections).find(([, slot]) => slot.kind === kind)?.[0];

/** Slots that a new step needs and the flow does not have yet. */
function missingSlots(type: StepType, settings: Record<string, any>): Edit[] {
  const edits: Edit[] = [];
  for (const field of type.form) {
    const slot = settings[field.key] ?? field.default;
    if (field.widget !== "connection" || !field.required || slotFor(field.of)) continue;
    const id = typeof slot === "string" && slot ? slot : field.of || "model";
    settings[field.key] = id;
    edits.push({ kind: "set_connection", id, connection: { kind: field.of, label: field.label } });
  }
  return edits;
}

export function freshNode(type: StepType): FlowNode {
  return { type: type.type, v: type.version, name: "", note: "", enabled: true, settings: defaults(type) };
}

/** Add a step of a type at a place; on a port (`from`) or into a wire (`insert`). Returns its id. */
export function addStep(typeId: string, at: Point, where: { from?: string; insert?: string } = {}): string {
  const { types, doc } = get();
  const type = types[typeId];
  const id = newId("n");
  const node = freshNode(type);
  const edits: Edit[] = missingSlots(type, node.settings);
  const exit = type.ports.find((p) => p.kind === "normal")?.id;
  let place = at;
  if (where.insert && doc.edges[where.insert] && !type.entry) {
    const target = doc.edges[where.insert];
    const room = placeBetween(doc, splitPort(where.insert)[0], target);
    place = room.at;
    edits.push(...room.moves, { kind: "add_node", id, node, at: snap(place) });
    edits.push({ kind: "connect", port: where.insert, target: id });
    if (exit) edits.push({ kind: "connect", port: `${id}.${exit}`, target });
  } else {
    const free = freePlace(doc, place, sizeOf);
    edits.push({ kind: "add_node", id, node, at: free });
    if (where.from && !type.entry) edits.push({ kind: "connect", port: where.from, target: id });
  }
  if (type.entry && !doc.entry.message) edits.push({ kind: "set_start", trigger: "message", node: id });
  dispatch(edits, { label: t("edit.add", { name: type.label }) });
  select([id]);
  // The side panel may open over the new step: look once it stands.
  requestAnimationFrame(() => requestAnimationFrame(() => camera.bring(id)));
  return id;
}

/** Put a step that has no wires into a wire. */
export function insertStep(id: string, wire: string): void {
  const { doc } = get();
  const target = doc.edges[wire];
  const source = splitPort(wire)[0];
  const exit = portsOf(get(), id).find((p) => p.kind === "normal")?.id;
  if (!target || source === id || target === id || !canEnter(id)) return;
  const room = placeBetween(doc, source, target, id);
  const edits: Edit[] = [...room.moves, { kind: "move_node", id, at: room.at }, { kind: "connect", port: wire, target: id }];
  if (exit) edits.push({ kind: "connect", port: `${id}.${exit}`, target });
  dispatch(edits, { label: t("edit.insert") });
}

/** A wire may lead to every step but an entry. */
export const canEnter = (id: string): boolean => {
  const { doc, types } = get();
  return !!doc.nodes[id] && !types[doc.nodes[id].type]?.entry;
};

export function connect(port: string, target: string): void {
  if (canEnter(target) && get().doc.edges[port] !== target)
    dispatch([{ kind: "connect", port, target }], { label: t("edit.connect") });
}

export function disconnect(port: string): void {
  dispatch([{ kind: "disconnect", port }], { label: t("edit.disconnect") });
  select([]);
}

/** Delete the selected steps or the selected wire; a step in the middle of a straight line leaves the line closed. */
export function removeSelection(): void {
  const { selection, wire, doc } = get();
  if (wire) return disconnect(wire);
  const ids = selection.filter((id) => doc.nodes[id]);
  if (!ids.length) return;
  const name = ids.length === 1 ? stepName(get(), ids[0]) : "";
  const edits: Edit[] = ids.map((id) => ({ kind: "remove_node", id }));
  edits.push(...bridges(doc, new Set(ids)));
  dispatch(edits, { label: t("edit.delete") });
  patchState({ selection: [], wire: null });
  const text = name ? t("edit.deleted_one", { name }) : t("edit.deleted_many", { n: ids.length });
  toast(text, "plain", { label: t("undo.undo"), run: undo });
}

function bridges(doc: Flow, gone: Set<string>): Edit[] {
  const edits: Edit[] = [];
  for (const [port, target] of Object.entries(doc.edges)) {
    if (!gone.has(target) || gone.has(splitPort(port)[0])) continue;
    const next = onward(doc, target, gone);
    if (next && next !== splitPort(port)[0]) edits.push({ kind: "connect", port, target: next });
  }
  return edits;
}

/** Where the one wire out of a deleted step led, if it had exactly one. */
function onward(doc: Flow, id: string, gone: Set<string>): string | null {
  for (let hops = 0; hops < gone.size; hops++) {
    const out = Object.entries(doc.edges).filter(([port]) => splitPort(port)[0] === id);
    if (out.length !== 1) return null;
    if (!gone.has(out[0][1])) return out[0][1];
    id = out[0][1];
  }
  return null;
}

export const rename = (id: string, name: string): void => {
  if (get().doc.nodes[id]?.name !== name.trim())
    dispatch([{ kind: "change_node", id, name: name.trim() }], { label: t("edit.rename") });
};

export function setEnabled(ids: string[], enabled: boolean): void {
  dispatch(ids.map((id) => ({ kind: "change_node", id, enabled })), { label: t("edit.switch") });
}

/** Move steps to where they are now (after a drag): one undo entry. */
export function moveSteps(places: Record<string, Point>): void {
  const { doc } = get();
  const edits: Edit[] = [];
  for (const [id, at] of Object.entries(places)) {
    const place = snap(at);
    const old = doc.layout.nodes[id];
    if (doc.nodes[id] && (!old || old[0] !== place[0] || old[1] !== place[1])) edits.push({ kind: "move_node", id, at: place });
  }
  dispatch(edits, { label: t("edit.move") });
}

/** The place right of a port's step, level with what hangs there already. */
export function placeAfter(port: string): Point {
  const { doc } = get();
  const [id, name] = splitPort(port);
  const [x, y] = doc.layout.nodes[id] ?? [0, 0];
  const row = Math.max(0, portsOf(get(), id).findIndex((p) => p.id === name));
  return snap([x + COLUMN, y + row * 48]);
}

/** A place for a step that is added without a hint: after the selected step's first open exit, else in view. */
export function nextPlace(center: Point): { at: Point; from?: string } {
  const state = get();
  const id = state.selection.length === 1 ? state.selection[0] : "";
  const free = id ? portsOf(state, id).filter((p) => !state.doc.edges[`${id}.${p.id}`]) : [];
  // The exit that has to lead somewhere comes first: "Given back" of a hand-off, not "Accepted".
  const open = free.find((p) => !p.optional) ?? free[0];
  if (open) return { at: placeAfter(`${id}.${open.id}`), from: `${id}.${open.id}` };
  return { at: snap([center[0] - CARD_WIDTH / 2, center[1] - 60]) };
}
