// Edits applied in the browser: the mirror of graph_runtime/contract/edits.py, held to it by a shared fixture file.
import type { Edit, Flow, FlowNode, Point } from "./types";

export class EditInvalid extends Error {}

export const splitPort = (ref: string): [string, string] => {
  const dot = ref.indexOf(".");
  return dot < 0 ? [ref, ""] : [ref.slice(0, dot), ref.slice(dot + 1)];
};

function without<T>(map: Record<string, T>, drop: (key: string, value: T) => boolean): Record<string, T> {
  const kept: Record<string, T> = {};
  for (const key in map) if (!drop(key, map[key])) kept[key] = map[key];
  return kept;
}

function existing(flow: Flow, id: string): FlowNode {
  const node = flow.nodes[id];
  if (!node) throw new EditInvalid(`no step ${id}`);
  return node;
}

const given = <T extends object>(values: T): Partial<T> =>
  Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined && v !== null)) as Partial<T>;

/** The flow after this edit; the old one is left as it is. Throws EditInvalid. */
export function applyEdit(flow: Flow, e: Edit): Flow {
  switch (e.kind) {
    case "add_node":
      if (flow.nodes[e.id]) throw new EditInvalid(`step ${e.id} exists`);
      return { ...flow, nodes: { ...flow.nodes, [e.id]: e.node }, layout: placed(flow, e.id, e.at ?? [0, 0]) };
    case "remove_node":
      existing(flow, e.id);
      return {
        ...flow,
        nodes: without(flow.nodes, (id) => id === e.id),
        edges: without(flow.edges, (port, target) => target === e.id || splitPort(port)[0] === e.id),
        entry: without(flow.entry, (_, id) => id === e.id),
        layout: { ...flow.layout, nodes: without(flow.layout.nodes, (id) => id === e.id) },
      };
    case "move_node":
      existing(flow, e.id);
      return { ...flow, layout: placed(flow, e.id, e.at) };
    case "change_settings": {
      const node = existing(flow, e.id);
      const settings = { ...without(node.settings, (key) => !!e.remove?.includes(key)), ...(e.set ?? {}) };
      return { ...flow, nodes: { ...flow.nodes, [e.id]: { ...node, settings } } };
    }
    case "change_node": {
      const part = given({ name: e.name, note: e.note, enabled: e.enabled });
      return { ...flow, nodes: { ...flow.nodes, [e.id]: { ...existing(flow, e.id), ...part } as FlowNode } };
    }
    case "connect":
      existing(flow, splitPort(e.port)[0]);
      existing(flow, e.target);
      return { ...flow, edges: { ...flow.edges, [e.port]: e.target } };
    case "disconnect":
      return { ...flow, edges: without(flow.edges, (port) => port === e.port) };
    case "set_start": {
      const entry = without(flow.entry, (key) => key === e.trigger);
      if (e.node !== null) {
        existing(flow, e.node);
        entry[e.trigger] = e.node;
      }
      return { ...flow, entry };
    }
    case "set_variable":
      return { ...flow, variables: replaced(flow.variables, e.id, e.variable) };
    case "set_connection":
      return { ...flow, connections: replaced(flow.connections, e.id, e.connection) };
    case "set_text":
      return { ...flow, i18n: without({ ...flow.i18n, [e.language]: replaced(flow.i18n[e.language] ?? {}, e.key, e.text) }, (_, texts) => !Object.keys(texts).length) };
    case "rename_flow":
      return { ...flow, ...given({ name: e.name, locale: e.locale }) } as Flow;
    case "set_pace":
      return { ...flow, pace: e.pace };
  }
}

function placed(flow: Flow, id: string, at: Point): Flow["layout"] {
  return { ...flow.layout, nodes: { ...flow.layout.nodes, [id]: at } };
}

function replaced<T>(map: Record<string, T>, key: string, value: T | null): Record<string, T> {
  const rest = without(map, (k) => k === key);
  return value === null ? rest : { ...rest, [key]: value };
}

export const applyEdits = (flow: Flow, edits: Edit[]): Flow => edits.reduce(applyEdit, flow);

/** Edits that bring the places touched by `e` back to what they are in `flow` (before applying). */
export function inverse(flow: Flow, e: Edit): Edit[] {
  switch (e.kind) {
    case "add_node":
      return [{ kind: "remove_node", id: e.id }];
    case "remove_node": {
      const node = existing(flow, e.id);
      const back: Edit[] = [{ kind: "add_node", id: e.id, node, at: flow.layout.nodes[e.id] ?? [0, 0] }];
      for (const [port, target] of Object.entries(flow.edges))
        if (target === e.id || splitPort(port)[0] === e.id) back.push({ kind: "connect", port, target });
      for (const [trigger, id] of Object.entries(flow.entry))
        if (id === e.id) back.push({ kind: "set_start", trigger, node: id });
      return back;
    }
    case "move_node":
      return [{ kind: "move_node", id: e.id, at: flow.layout.nodes[e.id] ?? [0, 0] }];
    case "change_settings": {
      const old = existing(flow, e.id).settings;
      const keys = [...Object.keys(e.set ?? {}), ...(e.remove ?? [])];
      return [{
        kind: "change_settings",
        id: e.id,
        set: Object.fromEntries(keys.filter((k) => k in old).map((k) => [k, old[k]])),
        remove: keys.filter((k) => !(k in old)),
      }];
    }
    case "change_node": {
      const node = existing(flow, e.id);
      const back: any = { kind: "change_node", id: e.id };
      for (const key of Object.keys(given({ name: e.name, note: e.note, enabled: e.enabled })))
        back[key] = (node as any)[key];
      return [back];
    }
    case "connect":
    case "disconnect": {
      const old = flow.edges[e.port];
      if (old !== undefined) return [{ kind: "connect", port: e.port, target: old }];
      return e.kind === "connect" ? [{ kind: "disconnect", port: e.port }] : [];
    }
    case "set_start":
      return [{ kind: "set_start", trigger: e.trigger, node: flow.entry[e.trigger] ?? null }];
    case "set_variable":
      return [{ kind: "set_variable", id: e.id, variable: flow.variables[e.id] ?? null }];
    case "set_connection":
      return [{ kind: "set_connection", id: e.id, connection: flow.connections[e.id] ?? null }];
    case "set_text":
      return [{ kind: "set_text", language: e.language, key: e.key, text: flow.i18n[e.language]?.[e.key] ?? null }];
    case "rename_flow": {
      const back: any = { kind: "rename_flow" };
      for (const key of Object.keys(given({ name: e.name, locale: e.locale }))) back[key] = (flow as any)[key];
      return [back];
    }
    case "set_pace":
      return [{ kind: "set_pace", pace: flow.pace }];
  }
}

/** Paths an edit writes; two edits with no common path do not conflict. */
export function touches(e: Edit): string[] {
  switch (e.kind) {
    case "add_node":
    case "remove_node":
      return [`nodes/${e.id}`];
    case "move_node":
      return [`layout/${e.id}`];
    case "change_settings":
      return [...Object.keys(e.set ?? {}), ...(e.remove ?? [])].map((k) => `nodes/${e.id}/settings/${k}`);
    case "change_node":
      return Object.keys(given({ name: e.name, note: e.note, enabled: e.enabled })).map((k) => `nodes/${e.id}/${k}`);
    case "connect":
    case "disconnect":
      return [`edges/${e.port}`];
    case "set_start":
      return [`entry/${e.trigger}`];
    case "set_variable":
      return [`variables/${e.id}`];
    case "set_connection":
      return [`connections/${e.id}`];
    case "set_text":
      return [`i18n/${e.language}/${e.key}`];
    case "rename_flow":
      return Object.keys(given({ name: e.name, locale: e.locale }));
    case "set_pace":
      return ["pace"];
  }
}

/** Paths of an edit that `theirs` (paths written elsewhere) also wrote, or all of them when a step it needs was removed. */
export function conflicting(e: Edit, theirs: readonly string[]): string[] {
  const steps = theirs.filter((p) => p.startsWith("nodes/") && p.split("/").length === 2).map((p) => p.slice(6));
  const isGone = stepsOf(e).some((id) => steps.includes(id));
  return touches(e).filter((p) => isGone || theirs.includes(p));
}

/** Steps that must be there for the edit to make sense. */
function stepsOf(e: Edit): string[] {
  switch (e.kind) {
    case "connect":
      return [splitPort(e.port)[0], e.target];
    case "set_start":
      return e.node === null ? [] : [e.node];
    case "remove_node":
    case "move_node":
    case "change_settings":
    case "change_node":
      return [e.id];
    default:
      return [];
  }
}

/** Apply what can be applied and leave out the rest: for replaying own edits over somebody else's. */
export function applyTolerantly(flow: Flow, edits: Edit[]): Flow {
  for (const e of edits) {
    try {
      flow = applyEdit(flow, e);
    } catch (error) {
      if (!(error instanceof EditInvalid)) throw error;
    }
  }
  return flow;
}

/** The same change in fewer edits: of several writes to one place in a row only the last one counts. */
export function compacted(edits: Edit[]): Edit[] {
  const out: Edit[] = [];
  for (const e of edits) {
    const last = out[out.length - 1];
    if (last?.kind === "move_node" && e.kind === "move_node" && last.id === e.id) out[out.length - 1] = e;
    else if (last?.kind === "change_settings" && e.kind === "change_settings" && last.id === e.id) {
      const set = without({ ...last.set }, (k) => !!e.remove?.includes(k));
      const remove = (last.remove ?? []).filter((k) => !(k in (e.set ?? {})));
      out[out.length - 1] = {
        ...e,
        set: { ...set, ...e.set },
        remove: [...new Set([...remove, ...(e.remove ?? [])])],
      };
    } else if (last?.kind === "change_node" && e.kind === "change_node" && last.id === e.id)
      out[out.length - 1] = { ...last, ...given(e) } as Edit;
    else if (last?.kind === "rename_flow" && e.kind === "rename_flow")
      out[out.length - 1] = { ...last, ...given(e) } as Edit;
    else if (last?.kind === "set_text" && e.kind === "set_text" && last.key === e.key && last.language === e.language)
      out[out.length - 1] = e;
    else out.push(e);
  }
  return out;
}
