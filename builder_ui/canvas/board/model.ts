// The document as React Flow sees it; objects that did not change keep their identity.
import type { Edge, Node } from "@xyflow/react";
import { splitPort } from "../core/edits";
import { portsOf } from "../core/hooks";
import type { EditorState } from "../core/store";
import { routesOf, type Route } from "./routes";

const NO_DATA = {};

/** Steps as React Flow nodes; a step that is being dragged keeps its local place. */
export function nodesOf(s: EditorState, before: Node[]): Node[] {
  const known = new Map(before.map((node) => [node.id, node]));
  const chosen = new Set(s.selection);
  let isSame = before.length === Object.keys(s.doc.nodes).length;
  const nodes = Object.keys(s.doc.nodes).map((id): Node => {
    const old = known.get(id);
    const [x, y] = s.doc.layout.nodes[id] ?? [0, 0];
    const selected = chosen.has(id);
    if (old && (old.dragging || (old.position.x === x && old.position.y === y)) && !!old.selected === selected) return old;
    isSame = false;
    return { ...(old ?? {}), id, type: "step", ariaRole: "group", data: NO_DATA, selected, position: old?.dragging ? old.position : { x, y } };
  });
  return isSame ? before : nodes;
}

export function edgesOf(s: EditorState, before: Edge[]): Edge[] {
  const known = new Map(before.map((edge) => [edge.id, edge]));
  const kinds = new Map<string, string>();
  const routes = routesOf(s);
  let isSame = true;
  const edges: Edge[] = [];
  for (const [id, target] of Object.entries(s.doc.edges)) {
    const [source, port] = splitPort(id);
    if (!s.doc.nodes[source] || !s.doc.nodes[target]) continue;
    if (!kinds.has(source)) {
      kinds.set(source, "");
      for (const p of portsOf(s, source)) kinds.set(`${source}.${p.id}`, p.broken ? "broken" : p.kind);
    }
    const kind = kinds.get(id) ?? "normal";
    const taken = !!s.run.path[id];
    const selected = s.wire === id;
    const old = known.get(id);
    const route = routes[id];
    if (old && old.target === target && isSameRoute(old.data?.route as Route | undefined, route) && old.data?.kind === kind && old.data?.taken === taken && !!old.selected === selected) {
      edges.push(old);
      continue;
    }
    isSame = false;
    edges.push({
      id, source, target, sourceHandle: port, targetHandle: "in", type: "wire", selected, data: { kind, taken, route },
      zIndex: selected || taken ? 1 : 0,
    });
  }
  return isSame && edges.length === before.length ? before : edges;
}

const isSameRoute = (a: Route | undefined, b: Route | undefined): boolean =>
  a === b || (!!a && !!b && a.out === b.out && a.lane === b.lane && a.into === b.into);
