// The test conversation: what was said, what is typed and not yet sent, values, steps. It outlives the closed drawer.
import { create } from "zustand";
import { t } from "../core/i18n";
import { uuid } from "../core/ids";
import { NO_RUN } from "../core/run_state";
import { camera, everythingSaved, onLive, patchState, sendFrame, useEditor } from "../core/store";
import type { LiveEvent } from "../core/types";

export type Option = { id: string; label: string };
export type Media = { media: string; url: string; name: string };
export type Bubble = {
  key: string; role: "contact" | "agent" | "member" | "system"; text: string; options: Option[]; media: Media[]; node: string;
  /** "sending" until the server has it, "lost" when it never did, "streaming" while words arrive. */
  state: "" | "sending" | "lost" | "streaming"; at: number; tone?: "error";
  /** Of a spoken answer: milliseconds after the caller's last word (see `talk/waterfall.tsx`). */
  times?: Record<string, number>;
  /** Of an answer that was interrupted: as much as the caller has heard. */
  heard?: string;
};
export type Step = { node: string; state: "running" | "done" | "waiting" | "failed"; port: string; started: number; ms: number | null; tokens: number | null; turn: number };
export type Talk = {
  phase: "idle" | "starting" | "talking" | "ended" | "failed";
  bubbles: Bubble[];
  isTyping: boolean;
  waits: string;
  awaits: string;
  draft: string;
  language: string;
  /** The test is played as a phone call. */
  isCall: boolean;
  /** The call has sound: what is typed is spoken into it. */
  isTalk: boolean;
  values: Record<string, any>;
  /** Variables that the last turn has changed. */
  changed: string[];
  steps: Step[];
  turn: number;
  turnMs: number | null;
  failure: string;
  /** Revision of the draft the conversation runs on. */
  revision: number;
  canSkip: boolean;
  /** "waiting": the flow has asked for a person; "accepted": the tester plays that person. */
  person: "" | "waiting" | "accepted";
  /** Somebody is being rung: the tester chooses how it ends. */
  ring(target: string): void;
};

const DRAFT = "patchcord.test_draft";
const keptDraft = (): string => {
  try {
    return sessionStorage.getItem(DRAFT) ?? "";
  } catch {
    return "";
  }
};
const FRESH: Omit<Talk, "draft" | "language" | "isCall" | "isTalk" | "canSkip" | "ring"> = {
  phase: "idle", bubbles: [], isTyping: false, waits: "", awaits: "", values: {}, changed: [], steps: [], turn: 0, turnMs: null, failure: "", revision: 0, person: "",
};
export const useTalk = create<Talk>()(() => ({ ...FRESH, draft: keptDraft(), language: "", isCall: false, isTalk: false, canSkip: true, ring }));
const get = useTalk.getState;
const set = useTalk.setState;

const START_MS = 12_000;
const SEND_MS = 15_000;
let startTimer = 0;
let starts = 0;

export function setDraft(draft: string): void {
  set({ draft });
  try {
    sessionStorage.setItem(DRAFT, draft);
  } catch {
    // Kept until the tab closes.
  }
}

const fail = (failure: string): void => set({ phase: "failed", failure, isTyping: false });

/** Begin on the draft as it is now, after everything is saved. */
export async function startTalk(): Promise<void> {
  window.clearTimeout(startTimer);
  const mine = ++starts;
  set({ ...FRESH, phase: "starting" });
  patchState({ run: NO_RUN });
  try {
    await everythingSaved();
  } catch {
    return mine === starts ? fail(t("test.not_saved")) : undefined;
  }
  if (mine !== starts) return;
  const { doc, revision } = useEditor.getState();
  set({ revision });
  if (!sendFrame({ t: "test_start", language: get().language || doc.locale, contact: {}, is_call: get().isCall, is_talk: get().isTalk })) return fail(t("test.offline"));
  startTimer = window.setTimeout(() => get().phase === "starting" && fail(t("test.no_answer")), START_MS);
}

let sound: { say(text: string, optionId: string): boolean; earMs(): number } = { say: () => false, earMs: () => 0 };
/** Who takes the words of a call that has sound, and how late its sound is heard. */
export const setSound = (of: typeof sound): void => void (sound = of);

/** Send as the client. What cannot be sent stays in the field, or is marked and can be sent again. */
export function say(text: string, optionId = "", again?: string): boolean {
  const words = text.trim();
  if (!words || get().phase === "starting") return false;
  if (get().isTalk) return sound.say(words, optionId);
  const key = again ?? uuid();
  if (!sendFrame({ t: "test_say", client_id: key, text: words, option_id: optionId })) {
    set({ failure: t("test.offline_kept") });
    return false;
  }
  const bubble: Bubble = { key, role: "contact", text: words, options: optionId ? [{ id: optionId, label: words }] : [], media: [], node: "", state: "sending", at: Date.now() };
  set({ bubbles: [...get().bubbles.filter((b) => b.key !== key), bubble], failure: "", waits: "", isTyping: true, changed: [] });
  window.setTimeout(() => {
    if (get().bubbles.some((b) => b.key === key && b.state === "sending")) {
      mark(key, { state: "lost" });
      set({ isTyping: false });
    }
  }, SEND_MS);
  return true;
}

/** Pretend that the client stays silent until the step gives up waiting. */
export function skipReply(): void {
  skip({ t: "test_skip" });
}

/** Let happen what the waiting step would go on at before its time. */
export function letHappen(): void {
  skip({ t: "test_skip", happens: true });
}

function skip(frame: { t: string; happens?: boolean }): void {
  const seen = get().steps.length + get().bubbles.length;
  if (!sendFrame(frame)) return set({ failure: t("test.offline_kept") });
  window.setTimeout(() => {
    if (get().steps.length + get().bubbles.length === seen) set({ canSkip: false, failure: t("test.no_skip") });
  }, 3000);
}

/** Play the colleague: take the conversation, answer in it, give it back. */
export function playPerson(what: "accept" | "reply" | "return"): void {
  const text = get().draft.trim();
  if (what === "reply" && !text) return;
  if (!sendFrame({ t: "test_person", do: what, text: what === "accept" ? "" : text, client_id: uuid() })) return set({ failure: t("test.offline_kept") });
  if (what !== "accept") setDraft("");
  set({ failure: "" });
}

const mark = (key: string, part: Partial<Bubble>): void => set({ bubbles: get().bubbles.map((b) => (b.key === key ? { ...b, ...part } : b)) });
const onScreen = (id: string | undefined): string => (id ?? "").split("/")[0];

function put(bubble: Bubble, also = ""): void {
  const { bubbles } = get();
  const at = bubbles.findIndex((b) => b.key === bubble.key || (also && b.key === also));
  set({ bubbles: at < 0 ? [...bubbles, bubble] : bubbles.map((b, i) => (i === at ? bubble : b)) });
}

function message(m: any): void {
  const parts: any[] = m.parts ?? [];
  const person = parts.find((p) => p.kind === "person");
  if (person) return note(t(person.event === "joined" ? "test.person_joined" : "test.person_left", { name: person.name }));
  const text = parts.map((p) => p.text || p.caption).filter(Boolean).join("\n") || m.text || "";
  put({
    key: m.key || m.client_id || `seq${m.seq}`, role: m.role, text, options: parts.flatMap((p) => p.options ?? []),
    media: parts.filter((p) => p.kind === "media").map((p) => ({ media: p.media, url: p.url || (p.file_id ? `/api/files/${p.file_id}` : ""), name: p.name })),
    node: onScreen(m.node_id), state: "", at: m.created_at ? Date.parse(m.created_at) : Date.now(), times: m.flags?.times,
    heard: m.flags?.interrupted ? (m.text ?? "") : undefined,
  }, m.client_id);
  if (m.flags?.would_wait) put({ key: `wait ${m.key}`, role: "system", text: t("test.would_wait"), options: [], media: [], node: "", state: "", at: Date.now() });
  if (m.role === "agent" || get().person) set({ isTyping: false });
}

function ring(target: string): void {
  put({
    key: uuid(), role: "agent", text: t("test.call_rings", { target }), media: [], node: "", state: "", at: Date.now(),
    options: (["answered", "busy", "no_answer"] as const).map((id) => ({ id, label: t(`test.call_${id}`) })),
  });
}

function note(text: string, tone?: "error", node = ""): void {
  put({ key: uuid(), role: "system", text, options: [], media: [], node, state: "", at: Date.now(), tone });
}

function step(event: LiveEvent): void {
  const { steps, turn } = get();
  const last = steps.findLastIndex((s) => s.node === event.node_id);
  const tokens = event.tokens ?? null;
  if (event.state === "entered")
    return set({ steps: [...steps, { node: event.node_id, state: "running", port: "", started: performance.now(), ms: null, tokens, turn }].slice(-300) as Step[] });
  const state = ({ left: "done", waiting: "waiting", failed: "failed" } as const)[event.state as "left"];
  if (!state) return;
  if (state !== "done") camera.follow(onScreen(event.node_id));
  const known = last >= 0 && steps[last].turn === turn ? steps[last] : { node: event.node_id, started: performance.now(), ms: null, port: "", tokens: null, turn };
  const ms = typeof event.ms === "number" ? event.ms : state === "done" && known.ms === null && last >= 0 && known === steps[last] ? performance.now() - known.started : known.ms;
  const next = { ...known, state, port: event.port ?? "", ms, tokens: tokens ?? known.tokens } as Step;
  set({ steps: last >= 0 && steps[last].turn === turn ? steps.map((s, i) => (i === last ? next : s)) : [...steps, next] });
}

/** How each live event changes the conversation. */
const HANDLERS: Record<string, (event: LiveEvent) => void> = {
  typing: () => set({ isTyping: true }),
  delta(event) {
    const old = get().bubbles.find((b) => b.key === event.key);
    put({ ...(old ?? { key: event.key, role: "agent", options: [], media: [], at: Date.now() }), node: onScreen(event.node_id) || old?.node || "", text: (old?.text ?? "") + event.text, state: "streaming" } as Bubble);
    set({ isTyping: false });
  },
  reset: (event) => set({ bubbles: get().bubbles.filter((b) => b.state !== "streaming" || (event.key && b.key !== event.key)) }),
  message: (event) => message(event.message),
  step,
  variables(event) {
    const { values } = get();
    const changed = Object.keys(event.values ?? {}).filter((key) => JSON.stringify(values[key]) !== JSON.stringify(event.values[key]));
    set({ values: { ...values, ...event.values }, changed });
  },
  turn(event) {
    const { bubbles, turn, phase, isCall } = get();
    set({
      isTyping: false, waits: event.waits ?? "", awaits: event.awaits ?? "", turn: turn + 1, turnMs: event.ms ?? null, phase: phase === "starting" ? "talking" : phase,
      // On a call the end of a transfer is an answer that stands in no transcript.
      bubbles: bubbles.map((b) => (b.state === "streaming" || (isCall && b.state === "sending") ? { ...b, state: "" } : b)),
    });
  },
  call(event) {
    const { kind, target } = event.waits ?? {};
    if (kind === "record") note(t("test.call_records"));
    else if (kind === "transfer") ring(target);
  },
  times: (event) => mark(event.key, { times: { ...event.times, ear: sound.earMs() } }),
  cut: (event) => mark(event.key, { heard: event.text }),
  person: (event) => set({ person: event.state, isTyping: false }),
  outside(event) {
    if (!event.planned) return;
    const details = Object.entries(event.details ?? {}).filter(([, v]) => v !== null && v !== "" && JSON.stringify(v) !== "{}").map(([k, v]) => `${k}: ${typeof v === "string" ? v : JSON.stringify(v)}`);
    note([t("test.not_sent", { what: event.what }), ...details].join("\n").slice(0, 2000), undefined, onScreen(event.node_id));
  },
  error(event) {
    window.clearTimeout(startTimer);
    const starting = get().phase === "starting";
    if (starting) return fail(event.message || t("test.no_answer"));
    set({ isTyping: false, bubbles: get().bubbles.map((b) => (b.state === "sending" ? { ...b, state: "lost" } : b)) });
    note(event.message || t("test.failed"), "error", onScreen(event.node_id));
  },
  ended(event) {
    if (event.result !== "test_stopped") note(event.result ? t("test.ended_result", { result: event.result }) : t("test.ended"));
    set({ phase: "ended", isTyping: false, waits: "", person: "" });
  },
};

onLive((event) => {
  if (get().phase === "idle") return;
  HANDLERS[event.type]?.(event);
  if (get().phase === "starting" && ["message", "delta", "step"].includes(event.type)) set({ phase: "talking" });
});

useEditor.subscribe((now, before) => {
  if (now.flowId !== before.flowId) set({ ...FRESH, language: "", isCall: false, isTalk: false });
});
