// What lies under a point of the window: a wire, a step, the canvas.

export function wireUnder(x: number, y: number): string | null {
  for (const element of document.elementsFromPoint(x, y)) {
    const edge = element.closest(".react-flow__edge");
    if (edge) return edge.getAttribute("data-id");
  }
  return null;
}

export const stepUnder = (x: number, y: number): string | null =>
  document.elementFromPoint(x, y)?.closest(".react-flow__node")?.getAttribute("data-id") ?? null;

export const isOverCanvas = (x: number, y: number): boolean =>
  !!document.elementFromPoint(x, y)?.closest(".react-flow");
