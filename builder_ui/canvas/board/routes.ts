// Where a wire runs when its straight way would pass behind cards: out, along a free lane, in. Canvas pixels at zoom 1.
import { splitPort } from "../core/edits";
import { portsOf } from "../core/hooks";
import type { EditorState } from "../core/store";
import { CARD_WIDTH } from "./geometry";
import { sizeOf } from "./steps";

/** `out` and `into` are measured from the ends, so a wire stays whole while one of its steps is being dragged. */
export type Route = { out: number; lane: number; into: number };
export type Spot = { x: number; y: number };
type Box = { left: number; right: number; top: number; bottom: number };
type Taken = { lane: number; left: number; right: number; target: string };

/** Above this many steps every move would cost too much. */
const MANY = 300;
const DOT = 5;
const ENTRY = 26;
const EXIT_ROW = 30;
const CLEAR = 10;
const AWAY = 18;
const LANES = 24;

const crosses = (box: Box, a: Spot, b: Spot): boolean =>
  Math.max(a.x, b.x) > box.left && Math.min(a.x, b.x) < box.right && Math.max(a.y, b.y) > box.top && Math.min(a.y, b.y) < box.bottom;

const isFree = (boxes: Box[], points: Spot[]): boolean =>
  points.slice(1).every((point, i) => !boxes.some((box) => crosses(box, points[i], point)));

/** Corners of a wire from end to end. */
export const corners = (from: Spot, to: Spot, { out, lane, into }: Route): Spot[] => [
  from, { x: from.x + out, y: from.y }, { x: from.x + out, y: lane }, { x: to.x - into, y: lane }, { x: to.x - into, y: to.y }, to,
];

/** An SVG path through corners, rounded; and the middle of its longest part. */
export function rounded(points: Spot[], radius: number): { path: string; middle: Spot } {
  const bends = points.filter((p, i) => !i || p.x !== points[i - 1].x || p.y !== points[i - 1].y);
  let path = `M${bends[0].x} ${bends[0].y}`;
  let middle = bends[0];
  let longest = -1;
  bends.slice(1).forEach((p, i) => {
    const before = bends[i];
    const length = Math.abs(p.x - before.x) + Math.abs(p.y - before.y);
    if (length > longest) [longest, middle] = [length, { x: (p.x + before.x) / 2, y: (p.y + before.y) / 2 }];
    const after = bends[i + 2];
    if (!after) return void (path += `L${p.x} ${p.y}`);
    const r = Math.min(radius, length / 2, (Math.abs(after.x - p.x) + Math.abs(after.y - p.y)) / 2);
    const back = toward(p, before, r);
    const on = toward(p, after, r);
    path += `L${back.x} ${back.y}Q${p.x} ${p.y} ${on.x} ${on.y}`;
  });
  return { path, middle };
}

const toward = (from: Spot, to: Spot, by: number): Spot => ({
  x: from.x + Math.sign(to.x - from.x) * Math.min(by, Math.abs(to.x - from.x)),
  y: from.y + Math.sign(to.y - from.y) * Math.min(by, Math.abs(to.y - from.y)),
});

/** A way around the cards; null when the usual one is free, or when there is none. */
export function wayAround(boxes: Box[], from: Spot, to: Spot, away: number, taken: Taken[], target: string): Route | null {
  const gap = to.x - from.x;
  const usual: Route = gap > 2 * AWAY
    ? { out: gap / 2, lane: to.y, into: gap / 2 }
    : { out: AWAY, lane: (from.y + to.y) / 2, into: AWAY };
  const left = Math.min(from.x, to.x) - 2 * AWAY;
  const right = Math.max(from.x, to.x) + 2 * AWAY;
  const near = boxes.filter((box) => box.right > left && box.left < right);
  const fits = (route: Route) => isFree(near, corners(from, to, route));
  if (fits(usual)) return null;
  if (gap > 2 * AWAY)
    for (const out of [away, gap - AWAY]) {
      const route = { out, lane: to.y, into: gap - out };
      if (fits(route)) return route;
    }
  const detour = (lane: number) => Math.abs(lane - from.y) + Math.abs(lane - to.y);
  const lanes = near.flatMap((box) => [box.top - 8, box.bottom + 8]).sort((a, b) => detour(a) - detour(b)).slice(0, LANES);
  for (const first of lanes) {
    let lane = first;
    const step = lane >= Math.max(from.y, to.y) ? CLEAR : -CLEAR;
    const isTaken = () => taken.some((t) => t.target !== target && Math.abs(t.lane - lane) < 8 && t.left < right && t.right > left);
    for (let tries = 0; tries < 4 && isTaken(); tries++) lane += step;
    const route = { out: away, lane, into: AWAY };
    if (fits(route)) return route;
  }
  return null;
}

/** Ways of all wires that need one. */
export function routesOf(s: EditorState): Record<string, Route> {
  const ids = Object.keys(s.doc.nodes);
  const routes: Record<string, Route> = {};
  if (ids.length > MANY) return routes;
  const boxes = new Map<string, Box>();
  for (const id of ids) {
    const [x, y] = s.doc.layout.nodes[id] ?? [0, 0];
    boxes.set(id, { left: x - CLEAR, right: x + CARD_WIDTH + CLEAR, top: y - CLEAR, bottom: y + sizeOf(id) + CLEAR });
  }
  const taken: Taken[] = [];
  for (const [ref, target] of Object.entries(s.doc.edges)) {
    const [source, port] = splitPort(ref);
    const own = boxes.get(source);
    const aim = boxes.get(target);
    const ports = portsOf(s, source);
    const row = ports.findIndex((p) => p.id === port);
    if (!own || !aim || row < 0) continue;
    const below = ports.length - row;
    const from = { x: own.right - CLEAR + DOT, y: own.bottom - CLEAR - 5 - (below - 0.5) * EXIT_ROW };
    const to = { x: aim.left + CLEAR - DOT, y: aim.top + CLEAR + ENTRY };
    // The ends touch their own cards, so these count only inside their borders.
    const all = ids.map((id) => (id === source || id === target ? inner(boxes.get(id)!) : boxes.get(id)!));
    const route = wayAround(all, from, to, AWAY + Math.min(below - 1, 3) * 8, taken, target);
    if (!route) continue;
    routes[ref] = route;
    const ends = [from.x + route.out, to.x - route.into];
    taken.push({ lane: route.lane, left: Math.min(...ends), right: Math.max(...ends), target });
  }
  return routes;
}

const inner = (box: Box): Box => ({ left: box.left + CLEAR, right: box.right - CLEAR, top: box.top + CLEAR, bottom: box.bottom - CLEAR });
