// Arranges steps from left to right with dagre, away from the thread that draws.
import * as dagre from "@dagrejs/dagre";

type Job = { nodes: { id: string; width: number; height: number }[]; edges: [string, string][] };

self.onmessage = (message: MessageEvent<Job>) => {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 40, ranksep: 112, ranker: message.data.nodes.length > 400 ? "longest-path" : "network-simplex" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id, width, height } of message.data.nodes) graph.setNode(id, { width, height });
  for (const [source, target] of message.data.edges) graph.setEdge(source, target);
  dagre.layout(graph);
  const places: Record<string, [number, number]> = {};
  for (const { id, width, height } of message.data.nodes) {
    const { x, y } = graph.node(id);
    places[id] = [x - width / 2, y - height / 2];
  }
  self.postMessage(places);
};
