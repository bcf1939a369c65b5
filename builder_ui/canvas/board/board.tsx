// The canvas: React Flow over the shared document. Only finished changes become edits.
import {
  applyNodeChanges, Background, BackgroundVariant, MiniMap, ReactFlow, SelectionMode, useReactFlow, useStore,
  type Connection, type Edge, type FinalConnectionState, type Node, type NodeChange, type OnConnectEnd,
} from "@xyflow/react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { tintOf } from "../core/hooks";
import { t } from "../core/i18n";
import { camera, dispatch, holdEdits, patchState, select, useEditor } from "../core/store";
import type { Point } from "../core/types";
import { Card } from "./card";
import { Controls } from "./controls";
import { EmptyCanvas } from "./empty";
import { useKeys } from "./keys";
import { edgesOf, nodesOf } from "./model";
import { CANVAS_ID } from "./port_handle";
import { stepUnder, wireUnder } from "./pointer";
import { canEnter, connect, insertStep, measured, moveSteps, placeAfter, sizeOf } from "./steps";
import { Wire } from "./wire";

const NODE_TYPES = { step: Card };
const EDGE_TYPES = { wire: Wire };
const MANY = 300;
const FIT = { padding: 0.12, maxZoom: 1 };
/** Below this zoom cards cannot be read, so a long flow opens at its start instead of as a whole. */
const READABLE = 0.62;
/** Below this zoom nothing can be read: cards are drawn as plain shapes and the map is not needed. */
const FAR = 0.3;
const WHERE = "patchcord.view.";
const MAP = { width: 168, height: 108 };
/** What the controls at the bottom cover. */
const CONTROLS = 56;
/** Room for the "+" beside an open exit. */
const PLUS = 56;
const PRO = { hideAttribution: false };
const get = useEditor.getState;
const pointerOf = (e: MouseEvent | TouchEvent): { x: number; y: number } => {
  const p = "changedTouches" in e ? e.changedTouches[0] : e;
  return { x: p.clientX, y: p.clientY };
};

export function Board({ theme }: { theme: "light" | "dark" }) {
  const flow = useReactFlow();
  const nodes = useNodes();
  const edges = useEdges();
  const viewOnly = useEditor((s) => s.viewOnly);
  const count = useEditor((s) => Object.keys(s.doc.nodes).length);
  const trackpad = useTrackpad();
  const root = useRef<HTMLDivElement>(null);
  const isFar = useStore((s) => s.transform[2] < FAR);
  useCamera();
  useKeys(root);

  const onNodeDragStart = useCallback(() => holdEdits(true), []);
  const onNodeDragStop = useCallback((event: MouseEvent | TouchEvent | React.MouseEvent, node: Node, moved: Node[]) => {
    const { index } = get();
    const p = pointerOf(event as MouseEvent);
    const isLoose = moved.length === 1 && !index.incoming[node.id] && !index.outgoing[node.id];
    const wire = isLoose ? wireUnder(p.x, p.y) : null;
    if (wire) insertStep(node.id, wire);
    else moveSteps(Object.fromEntries(moved.map((n) => [n.id, [n.position.x, n.position.y] as Point])));
    holdEdits(false);
  }, []);

  const onConnect = useCallback((c: Connection) => connect(`${c.source}.${c.sourceHandle}`, c.target), []);
  const onConnectEnd: OnConnectEnd = useCallback((event, state) => {
    root.current?.removeAttribute("data-connecting");
    if (state.isValid || state.fromHandle?.type !== "source" || !state.fromNode) return;
    const port = `${state.fromNode.id}.${state.fromHandle.id}`;
    const p = pointerOf(event);
    const over = stepUnder(p.x, p.y);
    if (over) return over === state.fromNode.id ? undefined : connect(port, over);
    const at = flow.screenToFlowPosition(p);
    patchState({ picker: { at: [at.x, at.y - 26], screen: [p.x, p.y], from: port } });
  }, [flow]);

  const onReconnect = useCallback((old: Edge, c: Connection) => {
    const port = `${c.source}.${c.sourceHandle}`;
    if (port === old.id) return connect(port, c.target);
    if (canEnter(c.target)) dispatch([{ kind: "disconnect", port: old.id }, { kind: "connect", port, target: c.target }], { label: t("edit.connect") });
  }, []);
  const onReconnectEnd = useCallback((event: MouseEvent | TouchEvent, edge: Edge, _: unknown, state: FinalConnectionState) => {
    root.current?.removeAttribute("data-connecting");
    if (state.isValid) return;
    const p = pointerOf(event);
    const over = stepUnder(p.x, p.y);
    if (over && over !== edge.source) return connect(edge.id, over);
    if (!over) dispatch([{ kind: "disconnect", port: edge.id }], { label: t("edit.disconnect") });
  }, []);
  const markConnecting = useCallback(() => root.current?.setAttribute("data-connecting", ""), []);

  const onClick = useCallback((event: React.MouseEvent) => {
    const target = event.target as Element;
    const insert = target.closest("[data-insert]")?.getAttribute("data-insert");
    const after = target.closest("[data-add-after]")?.getAttribute("data-add-after");
    if ((!insert && !after) || get().viewOnly) return;
    event.stopPropagation();
    const at = flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
    patchState({
      picker: {
        at: after ? placeAfter(after) : [at.x, at.y], screen: [event.clientX, event.clientY],
        from: after ?? undefined, insert: insert ?? undefined,
      },
    });
  }, [flow]);
  const onDoubleClick = useCallback((event: React.MouseEvent) => {
    const target = event.target as Element;
    const named = target.closest("[data-rename]")?.getAttribute("data-rename");
    if (get().viewOnly) return;
    if (named) return patchState({ renaming: named });
    if (!target.classList.contains("react-flow__pane")) return;
    const at = flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
    patchState({ picker: { at: [at.x, at.y], screen: [event.clientX, event.clientY] } });
  }, [flow]);

  const labels = useMemo(() => ({ "node.a11yDescription.default": t("a11y.node"), "edge.a11yDescription.default": t("a11y.edge"), "minimap.ariaLabel": t("a11y.minimap") }), []);
  return (
    <div ref={root} className="pc-board" data-far={isFar || undefined} tabIndex={0} role="application" aria-label={t("a11y.canvas")} onClickCapture={onClick} onDoubleClick={onDoubleClick} data-testid="board">
      <svg className="pc-defs" aria-hidden="true"><defs>
        <marker id="pc-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
          <path d="M1 1L7 4L1 7" fill="none" stroke="context-stroke" strokeWidth="1.4" strokeLinecap="round" strokeLinejoin="round" />
        </marker>
      </defs></svg>
      <ReactFlow
        id={CANVAS_ID} nodes={nodes.list} edges={edges} nodeTypes={NODE_TYPES} edgeTypes={EDGE_TYPES} onNodesChange={nodes.change}
        onNodeDragStart={onNodeDragStart} onNodeDragStop={onNodeDragStop} onSelectionDragStart={onNodeDragStart}
        onSelectionDragStop={(e, moved) => moved[0] && onNodeDragStop(e, moved[0], moved)}
        onConnect={onConnect} onConnectStart={markConnecting} onConnectEnd={onConnectEnd}
        onReconnect={onReconnect} onReconnectStart={markConnecting} onReconnectEnd={onReconnectEnd}
        onEdgeClick={(_, edge) => select([], edge.id)} onPaneClick={() => { select([]); patchState({ picker: null }); }}
        isValidConnection={(c) => canEnter(c.target)} nodesDraggable={!viewOnly} nodesConnectable={!viewOnly}
        edgesReconnectable={!viewOnly} nodesFocusable={false} edgesFocusable={false} disableKeyboardA11y
        deleteKeyCode={null} selectionKeyCode="Shift" multiSelectionKeyCode={["Shift", "Meta", "Control"]}
        panActivationKeyCode={null} selectionMode={SelectionMode.Partial} connectionRadius={28} nodeDragThreshold={3}
        panOnScroll={trackpad} zoomOnDoubleClick={false} minZoom={0.05} maxZoom={1.6} onInit={firstLook} onMoveEnd={keepView}
        onlyRenderVisibleElements={count > MANY} elevateNodesOnSelect={false} proOptions={PRO} colorMode={theme} ariaLabelConfig={labels}
        attributionPosition="bottom-center"
      >
        <Background variant={BackgroundVariant.Dots} gap={24} size={1.4} />
        {count > 4 && !isFar && <MiniMap pannable zoomable style={MAP} position="bottom-right" nodeBorderRadius={10}
          nodeClassName={(n) => `pc-mm pc-mm-${tintOf(get(), get().doc.nodes[n.id]?.type)}`} />}
        <Controls />
      </ReactFlow>
      {count === 0 && <EmptyCanvas />}
      <LiveRegion />
    </div>
  );
}

function useNodes() {
  const [list, setList] = useState<Node[]>(() => nodesOf(get(), []));
  const latest = useRef(list);
  const put = (next: Node[]) => {
    if (next === latest.current) return;
    latest.current = next;
    setList(next);
  };
  useEffect(() => useEditor.subscribe((s, old) => {
    if (s.doc.nodes !== old.doc.nodes || s.doc.layout !== old.doc.layout || s.selection !== old.selection)
      put(nodesOf(s, latest.current));
  }), []);
  const change = useCallback((changes: NodeChange[]) => {
    put(applyNodeChanges(changes.filter((c) => c.type !== "remove"), latest.current));
    if (!changes.some((c) => c.type === "select")) return;
    const before = get().selection;
    const now = latest.current.filter((n) => n.selected).map((n) => n.id);
    select([...before.filter((id) => now.includes(id)), ...now.filter((id) => !before.includes(id))]);
  }, []);
  return { list, change };
}

function useEdges(): Edge[] {
  const [list, setList] = useState<Edge[]>(() => edgesOf(get(), []));
  const latest = useRef(list);
  useEffect(() => useEditor.subscribe((s, old) => {
    if (s.doc.edges === old.doc.edges && s.doc.layout === old.doc.layout && s.ports === old.ports && s.run === old.run && s.wire === old.wire && s.types === old.types) return;
    const next = edgesOf(s, latest.current);
    if (next === latest.current) return;
    latest.current = next;
    setList(next);
  }), []);
  return list;
}

function useCamera(): void {
  const flow = useReactFlow();
  useEffect(() => {
    measured.height = (id) => flow.getInternalNode(id)?.measured.height;
    camera.follow = (id) => {
      const card = document.querySelector(`.react-flow__node[data-id="${CSS.escape(id)}"]`)?.getBoundingClientRect();
      const board = document.querySelector(".pc-board")?.getBoundingClientRect();
      const isSeen = card && board && card.left >= board.left && card.right <= board.right && card.top >= board.top && card.bottom <= board.bottom;
      if (!isSeen) camera.reveal(id);
    };
    camera.bring = (id) => {
      const board = document.querySelector(".pc-board")?.getBoundingClientRect();
      const [left, top] = get().doc.layout.nodes[id] ?? [0, 0];
      const { x, y, zoom } = flow.getViewport();
      if (!board) return;
      const dx = into(left * zoom + x, 264 * zoom, board.width, PLUS);
      const dy = into(top * zoom + y, sizeOf(id) * zoom, board.height - CONTROLS);
      if (dx || dy) void flow.setViewport({ x: x + dx, y: y + dy, zoom }, { duration: isCalm() ? 0 : 180 });
    };
    camera.reveal = (id) => {
      const [x, y] = get().doc.layout.nodes[id] ?? [0, 0];
      void flow.setCenter(x + 132, y + sizeOf(id) / 2, { zoom: Math.max(0.75, flow.getZoom()), duration: isCalm() ? 0 : 180 });
    };
  }, [flow]);
}

const isCalm = (): boolean => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/** By how much a stretch has to move to lie inside a room, with a margin. */
function into(start: number, length: number, room: number, after = 24): number {
  const margin = 24;
  if (start < margin) return margin - start;
  return Math.min(0, Math.max(room - after - length - start, margin - start));
}

/** Where the person left this flow in this tab, else the whole flow, else its start. */
function firstLook(flow: { fitView(o: object): Promise<boolean>; getZoom(): number; setViewport(v: object): Promise<boolean> }): void {
  const { doc, flowId } = get();
  try {
    const kept = JSON.parse(sessionStorage.getItem(WHERE + flowId) ?? "null");
    if (kept) return void flow.setViewport(kept);
  } catch {
    // Look at the whole flow.
  }
  const start = doc.layout.nodes[doc.entry.message ?? ""] ?? Object.values(doc.layout.nodes)[0];
  void flow.fitView(FIT).then(() => {
    const box = document.querySelector(".pc-board")?.getBoundingClientRect();
    if (!start || !box || flow.getZoom() >= READABLE) return;
    const zoom = 0.8;
    void flow.setViewport({ x: 64 - start[0] * zoom, y: box.height * 0.4 - start[1] * zoom, zoom });
  });
}

const keepView = (_: unknown, view: object): void => sessionStorage.setItem(WHERE + get().flowId, JSON.stringify(view));

function useTrackpad(): boolean {
  const [on, setOn] = useState(() => localStorage.getItem("patchcord.trackpad") === "1");
  useEffect(() => {
    const listen = () => setOn(localStorage.getItem("patchcord.trackpad") === "1");
    window.addEventListener("patchcord-trackpad", listen);
    return () => window.removeEventListener("patchcord-trackpad", listen);
  }, []);
  return on;
}

/** Says the selected step to a screen reader. */
function LiveRegion() {
  const text = useEditor((s) => {
    const id = s.selection.length === 1 ? s.selection[0] : "";
    const node = s.doc.nodes[id];
    if (!node) return s.selection.length > 1 ? t("a11y.selected_many", { n: s.selection.length }) : "";
    const next = (s.index.outgoing[id] ?? []).map((p) => s.doc.edges[`${id}.${p}`]).map((x) => s.doc.nodes[x]?.name || s.types[s.doc.nodes[x]?.type]?.label);
    return `${node.name || s.types[node.type]?.label || node.type}. ${next.length ? t("a11y.leads_to", { names: next.join(", ") }) : ""}`;
  });
  return <div className="pc-sr" aria-live="polite">{text}</div>;
}
