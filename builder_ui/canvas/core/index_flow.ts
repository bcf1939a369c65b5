// Look-ups derived from the document; entries that did not change keep their identity, so cards do not render again.
import { splitPort } from "./edits";
import type { Flow, Problem } from "./types";

export type FlowIndex = {
  /** Step → its exits that have a wire. */
  outgoing: Record<string, string[]>;
  /** Step → the exits ("node.port") that lead to it. */
  incoming: Record<string, string[]>;
};
export const NO_INDEX: FlowIndex = { outgoing: {}, incoming: {} };

const same = (a: string[] | undefined, b: string[]) =>
  !!a && a.length === b.length && a.every((value, i) => value === b[i]);

export function indexFlow(edges: Record<string, string>, old: FlowIndex): FlowIndex {
  const outgoing: Record<string, string[]> = {};
  const incoming: Record<string, string[]> = {};
  for (const [ref, target] of Object.entries(edges)) {
    const [node, port] = splitPort(ref);
    (outgoing[node] ??= []).push(port);
    (incoming[target] ??= []).push(ref);
  }
  for (const id in outgoing) if (same(old.outgoing[id], outgoing[id])) outgoing[id] = old.outgoing[id];
  for (const id in incoming) if (same(old.incoming[id], incoming[id])) incoming[id] = old.incoming[id];
  return { outgoing, incoming };
}

export function problemIndex(problems: Problem[], old: Record<string, Problem[]>): Record<string, Problem[]> {
  const found: Record<string, Problem[]> = {};
  for (const problem of problems) (found[problem.node_id] ??= []).push(problem);
  for (const id in found) if (JSON.stringify(old[id]) === JSON.stringify(found[id])) found[id] = old[id];
  return found;
}

/** What was wrong with an older state of the flow and is mended since: a fix of it would take away a wire that is there now. */
export function stillWrong(problems: Problem[], doc: Flow): Problem[] {
  const isMended = (p: Problem) => !!p.fix?.edits.some((e) => (e.kind === "connect" ? !!doc.edges[e.port] : e.kind === "add_node" && !!doc.nodes[e.id]));
  return problems.some(isMended) ? problems.filter((p) => !isMended(p)) : problems;
}
