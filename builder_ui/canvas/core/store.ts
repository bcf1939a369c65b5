// The one shared store of the editor screen.
//
// How to use it
// -------------
// Read:   const node = useNode(id); const ports = usePorts(id); const items = useProblems(id);
//         or any slice: useEditor((s) => s.selection). A selector must return something stable: a value of the state,
//         never a new array or object, else the component renders for ever.
// Write:  dispatch(edits, { label, field }) is the only way to change the document. It applies the edits here at once,
//         makes one undo entry (edits of the same `field` within a second are one entry), and sends them.
//         Shorthands: changeSettings(id, {key: value}), and everything in board/steps.ts.
// Look:   select([ids]), reveal(id) moves the canvas there, show("test" | "publish" | "problems" | …, true).
// Test:   sendFrame({t: "test_say", …}) and onLive((event) => …) for the test conversation; run states of cards are here.
// Texts:  t("area.key", {n: 3}) from i18n.ts; add rows to texts/<area>.ts; never write a sentence into a component.
import { create } from "zustand";
import { api, type ApiError } from "./api";
import { applyEdits, EditInvalid } from "./edits";
import { History } from "./history";
import { setLanguage, t } from "./i18n";
import { indexFlow, NO_INDEX, problemIndex, stillWrong, type FlowIndex } from "./index_flow";
import type { Clash, Link } from "./listener";
import { Protocol } from "./protocol";
import { signInAgain } from "./socket";
import { NO_RUN, stepped, type RunState } from "./run_state";
import type { Agent, Beginning, Catalog, Edit, Flow, FlowRow, Key, KnowledgeBase, Lang, LiveEvent, Me, OpenFlow, Point, Port, Problem, StepType } from "./types";

export type Panel = "palette" | "test" | "publish" | "problems" | "find" | "goto" | "shortcuts" | "outline" | "flowSettings";
/** Where a new step goes: flow coordinates, and the port it hangs on or the wire (by its port) it is put into. */
export type Picker = { at: Point; screen: Point; from?: string; insert?: string };
export type Toast = { id: number; text: string; tone: "plain" | "warning"; action?: { label: string; run(): void } };

export type EditorState = {
  phase: "loading" | "ready" | "failed";
  failure: { code: string; message: string } | null;
  flowId: string;
  language: Lang;
  viewOnly: boolean;
  doc: Flow;
  index: FlowIndex;
  catalog: Catalog;
  types: Record<string, StepType>;
  tints: Record<string, string>;
  ports: Record<string, Port[]>;
  problems: Problem[];
  problemsOf: Record<string, Problem[]>;
  agent: Agent;
  flows: FlowRow[];
  queues: { id: string; name: string }[];
  liveVersion: number | null;
  changedSincePublish: boolean;
  connections: Record<string, { bound: boolean; label: string }>;
  models: any[];
  knowledge: KnowledgeBase[];
  keys: Key[];
  begunBy: Beginning[];
  me: Me;
  selection: string[];
  wire: string | null;
  renaming: string | null;
  panels: Partial<Record<Panel, boolean>>;
  picker: Picker | null;
  link: Link;
  pending: number;
  savedAt: number | null;
  revision: number;
  editors: string[];
  clashes: Clash[];
  toasts: Toast[];
  run: RunState;
  canUndo: boolean;
  canRedo: boolean;
};

const EMPTY: Flow = {
  format: "flow/1", id: "", name: "", locale: "en", entry: {}, connections: {}, variables: {}, nodes: {}, edges: {}, pace: { gather_ms: 800, while_busy: "queue" },
  i18n: {}, layout: { nodes: {}, notes: {}, groups: {} },
};

export const useEditor = create<EditorState>()(() => ({
  phase: "loading", failure: null, flowId: "", language: "en", viewOnly: false, doc: EMPTY, index: NO_INDEX,
  catalog: { node_types: [], categories: [], connectors: [], languages: [] }, types: {}, tints: {}, ports: {},
  problems: [], problemsOf: {}, agent: { id: "", name: "", is_on: false, public_id: "" }, flows: [], queues: [],
  liveVersion: null, changedSincePublish: false, connections: {}, models: [], keys: [], knowledge: [], begunBy: [],
  me: { name: "", language: "en" },
  selection: [], wire: null, renaming: null, panels: {}, picker: null, link: "connecting", pending: 0, savedAt: null,
  revision: 0, editors: [], clashes: [], toasts: [], run: NO_RUN, canUndo: false, canRedo: false,
}));

const get = useEditor.getState;
const set = useEditor.setState;
let protocol: Protocol | null = null;
let history = new History();
const liveListeners = new Set<(event: LiveEvent) => void>();
let toastId = 0;

/** Load a flow and stay connected; returns what to call when the screen goes away. */
export function openEditor(flowId: string, language: string): () => void {
  const own = new Protocol(flowId, listener);
  protocol = own;
  history = new History();
  set({ ...useEditor.getInitialState(), flowId, viewOnly: get().viewOnly });
  void load(own, language);
  const keepUndo = () => history.save(`patchcord.undo.${flowId}`, own.revision);
  window.addEventListener("pagehide", keepUndo);
  return () => {
    window.removeEventListener("pagehide", keepUndo);
    keepUndo();
    own.close();
    if (protocol === own) protocol = null;
  };
}

async function load(own: Protocol, language: string): Promise<void> {
  try {
    const early = language ? api.catalog(language) : null;
    early?.catch(() => undefined);
    const open = await own.open();
    const lang = setLanguage(language || open.me.language);
    const catalog = await (early ?? api.catalog(lang));
    if (protocol !== own) return;
    history.restore(`patchcord.undo.${own.flowId}`, open.revision);
    set({
      phase: "ready", language: lang, catalog, revision: open.revision, canUndo: history.past.length > 0, canRedo: history.future.length > 0,
      types: Object.fromEntries(catalog.node_types.map((type) => [type.type, type])),
      tints: Object.fromEntries(catalog.categories.map((c) => [c.id, c.tint])),
      ...about(open),
    });
    setDocument(own.document());
    document.documentElement.lang = lang;
  } catch (error) {
    const { code = "unknown", message = "", status } = error as ApiError;
    if (status === 401) return signInAgain();
    if (protocol === own) set({ phase: "failed", failure: { code, message }, language: setLanguage(language) });
  }
}

function about(open: OpenFlow): Partial<EditorState> {
  return {
    agent: open.agent, flows: open.flows, queues: open.queues ?? [], liveVersion: open.live_version,
    connections: open.connections ?? {}, changedSincePublish: open.changed_since_publish, models: open.models ?? [],
    keys: open.keys ?? [], begunBy: open.begun_by ?? [], knowledge: open.knowledge ?? [], me: open.me,
    ports: open.ports ?? {}, problems: open.problems, problemsOf: problemIndex(open.problems, {}),
  };
}

function setDocument(doc: Flow): void {
  const { doc: old, index, selection } = get();
  const changes: Partial<EditorState> = { doc };
  if (doc.edges !== old.edges) {
    changes.index = indexFlow(doc.edges, index);
    const problems = stillWrong(get().problems, doc);
    if (problems !== get().problems) Object.assign(changes, { problems, problemsOf: problemIndex(problems, get().problemsOf) });
  }
  if (doc.nodes !== old.nodes && selection.some((id) => !doc.nodes[id]))
    changes.selection = selection.filter((id) => doc.nodes[id]);
  set(changes);
}

const listener = {
  document: setDocument,
  remote(paths: string[]) {
    history.writtenElsewhere(paths);
  },
  problems(items: Problem[]) {
    const problems = stillWrong(items, get().doc);
    set({ problems, problemsOf: problemIndex(problems, get().problemsOf) });
  },
  ports(nodes: Record<string, Port[]>) {
    set({ ports: { ...get().ports, ...nodes } });
  },
  progress(state: { link: Link; pending: number; savedAt: number | null; revision: number }) {
    const { link, pending, savedAt, revision, changedSincePublish } = get();
    if (link === state.link && pending === state.pending && savedAt === state.savedAt && revision === state.revision) return;
    set({ ...state, changedSincePublish: changedSincePublish || (revision > 0 && state.revision > revision) });
  },
  clash(clashes: Clash[]) {
    set({ clashes: [...get().clashes, ...clashes] });
  },
  refused(code: string, message: string) {
    toast(code === "gone" ? t("clash.gone") : message || t("save.refused"), "warning");
  },
  live(event: LiveEvent) {
    const { run } = get();
    const next = stepped(run, event);
    if (next !== run) set({ run: next });
    liveListeners.forEach((listen) => listen(event));
  },
  test(conversationId: string) {
    set({ run: { ...NO_RUN, conversationId } });
  },
  editors(names: string[]) {
    set({ editors: names });
  },
  reloaded(open: OpenFlow) {
    set(about(open));
  },
};

/** Change the document: the only way. Returns false when the edits do not fit (the step is gone). */
export function dispatch(edits: Edit[], options: { label?: string; field?: string } = {}): boolean {
  const { doc, viewOnly, phase } = get();
  if (!edits.length || viewOnly || phase !== "ready" || !protocol) return false;
  let after: Flow;
  try {
    after = history.record(doc, edits, options.label ?? "", options.field);
  } catch (error) {
    if (error instanceof EditInvalid) return false;
    throw error;
  }
  setDocument(after);
  protocol.push(edits);
  set({ canUndo: true, canRedo: false });
  return true;
}

export const changeSettings = (id: string, values: Record<string, any>): boolean =>
  dispatch([{ kind: "change_settings", id, set: values }], { field: `${id}.${Object.keys(values).join()}` });

function travel(back: boolean): void {
  const { viewOnly, doc } = get();
  if (viewOnly || !protocol) return;
  const taken = back ? history.takeUndo() : history.takeRedo();
  if (!taken) return;
  const edits = back ? taken.entry.undo : taken.entry.redo;
  if (taken.skipped) toast(t("undo.skipped"), "warning");
  else {
    try {
      setDocument(applyEdits(doc, edits));
      protocol.push(edits);
    } catch (error) {
      if (!(error instanceof EditInvalid)) throw error;
      toast(t("undo.skipped"), "warning");
    }
  }
  set({ canUndo: history.past.length > 0, canRedo: history.future.length > 0 });
}
export const undo = (): void => travel(true);
export const redo = (): void => travel(false);

/** Nothing is sent while a step is being dragged. */
export const holdEdits = (on: boolean): void => protocol?.hold(on);
/** Send a frame of the test conversation or of presence; false when the connection is down. */
export const sendFrame = (frame: object): boolean => protocol?.raw(frame) ?? false;
/** Resolves when every edit is saved; publish and test wait for it. */
export const everythingSaved = (): Promise<void> => protocol?.settled() ?? Promise.resolve();
export const reloadFlow = (): Promise<void> => protocol?.reload() ?? Promise.resolve();

export function onLive(listen: (event: LiveEvent) => void): () => void {
  liveListeners.add(listen);
  return () => void liveListeners.delete(listen);
}

export function resolveClash(clash: Clash, keepMine: boolean): void {
  set({ clashes: get().clashes.filter((c) => c !== clash) });
  if (keepMine) protocol?.keepMine([clash.mine]);
}

export function select(ids: string[], wire: string | null = null): void {
  const { selection, wire: old } = get();
  if (old === wire && selection.length === ids.length && selection.every((id, i) => id === ids[i])) return;
  set({ selection: ids, wire });
  if (ids.length === 1) sendFrame({ t: "present", node: ids[0] });
}

export const show = (panel: Panel, on: boolean): void => set({ panels: { ...get().panels, [panel]: on } });
export const patchState = (changes: Partial<EditorState>): void => set(changes);

export function toast(text: string, tone: Toast["tone"] = "plain", action?: Toast["action"]): void {
  const id = ++toastId;
  set({ toasts: [...get().toasts.slice(-2), { id, text, tone, action }] });
  window.setTimeout(() => set({ toasts: get().toasts.filter((x) => x.id !== id) }), 6000);
}

/** The board fills this in. `reveal` centres a step; `follow` does so only when it cannot be seen whole; `bring` moves no more than needed. */
export const camera: Record<"reveal" | "follow" | "bring", (id: string) => void> = { reveal: () => undefined, follow: () => undefined, bring: () => undefined };
/** Move the canvas to a step and select it. */
export function reveal(id: string): void {
  select([id]);
  camera.reveal(id);
}
