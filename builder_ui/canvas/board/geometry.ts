// Where steps stand: sizes of cards, free places, making room. Distances are canvas pixels at zoom 1.
import type { Edit, Flow, Point } from "../core/types";

export const CARD_WIDTH = 264;
export const GRID = 8;
export const COLUMN = CARD_WIDTH + 96;
export const ROW_GAP = 32;

export const snap = ([x, y]: Point): Point => [Math.round(x / GRID) * GRID, Math.round(y / GRID) * GRID];

/** Height of a card by what it shows; the measured height is used where there is one. */
export const cardHeight = (ports: number, hasStory: boolean): number => 52 + (hasStory ? 44 : 0) + ports * 32 + (ports ? 8 : 0);

export type Sizes = (id: string) => number;

const overlaps = (a: Point, b: Point, ha: number, hb: number): boolean =>
  Math.abs(a[0] - b[0]) < CARD_WIDTH + 24 && a[1] < b[1] + hb + 16 && b[1] < a[1] + ha + 16;

/** The nearest place at or below `at` where a new card covers nobody. */
export function freePlace(flow: Flow, at: Point, sizes: Sizes, height = 140): Point {
  const others = Object.entries(flow.layout.nodes).filter(([id]) => flow.nodes[id]);
  let [x, y] = snap(at);
  for (let tries = 0; tries < 60; tries++) {
    const hit = others.find(([id, p]) => overlaps([x, y], p, height, sizes(id)));
    if (!hit) break;
    y = snap([x, hit[1][1] + sizes(hit[0]) + ROW_GAP])[1];
  }
  return [x, y];
}

/** How far down steps have to move together, to cover none that stand there already. */
export function clearBelow(flow: Flow, places: [at: Point, height: number][], sizes: Sizes): number {
  const others = Object.entries(flow.layout.nodes).filter(([id]) => flow.nodes[id]);
  let down = 0;
  for (let tries = 0; tries < 60; tries++) {
    const hit = places.flatMap(([[x, y], height]) => others
      .filter(([id, p]) => overlaps([x, y + down], p, height, sizes(id)))
      .map(([id, p]) => p[1] + sizes(id) + ROW_GAP - y));
    if (!hit.length) break;
    down = snap([0, Math.max(down + GRID, ...hit)])[1];
  }
  return down;
}

/** Everything reachable from `start`, itself included. */
export function downstream(flow: Flow, start: string): Set<string> {
  const targets: Record<string, string[]> = {};
  for (const [ref, target] of Object.entries(flow.edges)) (targets[ref.slice(0, ref.indexOf("."))] ??= []).push(target);
  const seen = new Set([start]);
  const queue = [start];
  for (let id = queue.pop(); id !== undefined; id = queue.pop())
    for (const next of targets[id] ?? [])
      if (!seen.has(next)) {
        seen.add(next);
        queue.push(next);
      }
  return seen;
}

/** The place of a step put between two others, and the moves that make room for it. */
export function placeBetween(flow: Flow, source: string, target: string, id?: string): { at: Point; moves: Edit[] } {
  const from = flow.layout.nodes[source] ?? [0, 0];
  const to = flow.layout.nodes[target] ?? [from[0] + COLUMN, from[1]];
  if (to[0] <= from[0]) return { at: snap([from[0] + COLUMN, (from[1] + to[1]) / 2 + 40]), moves: [] };
  const at = snap([from[0] + COLUMN, to[1]]);
  const push = at[0] + COLUMN - to[0];
  const moves: Edit[] = [];
  if (push > 0)
    for (const other of downstream(flow, target)) {
      const place = flow.layout.nodes[other];
      if (!place || other === source || other === id || place[0] < to[0]) continue;
      moves.push({ kind: "move_node", id: other, at: snap([place[0] + push, place[1]]) });
    }
  return { at, moves };
}
