// A test conversation that is spoken: what state the line is in, and what the person can do with it.
import { create } from "zustand";
import { onLive, useEditor } from "../core/store";
import type { LiveEvent } from "../core/types";
import { setSound, startTalk, useTalk } from "../panels/talk";
import { Line, NoSound, type News, type Trouble } from "./line";

export type Mode = "microphone" | "typing";
export type Problem = "" | Trouble | "no_speech" | "voice_down" | "too_many" | "too_long" | "lost" | "failed";
export type Voice = {
  /** "": the call is played as text. */
  mode: "" | Mode;
  phase: "off" | "opening" | "connecting" | "live" | "rings" | "over";
  problem: Problem;
  /** The server's own sentence about the problem. */
  reason: string;
  isMuted: boolean;
  /** Loudness 0…1. */
  microphone: number;
  agent: number;
  /** Number of the frame that is being heard, and how much waits behind it. */
  frame: number;
  ahead: number;
  underruns: number;
  /** Milliseconds between the line and the ear: what waits in the page, and its way out. */
  earMs: number;
  optionsOnly: boolean;
  canType: boolean;
  /** Typed words that are on their way into the call. */
  saying: string;
};

const FRESH = { phase: "off", problem: "", reason: "", microphone: 0, agent: 0, frame: -1, ahead: 0, underruns: 0, earMs: 0, optionsOnly: false, canType: true, saying: "" } as const;
export const useVoice = create<Voice>()(() => ({ ...FRESH, mode: "", isMuted: false }));
const get = useVoice.getState;
const set = useVoice.setState;

let line: Line | null = null;
let attempt = 0;

const fail = (problem: Problem, reason = ""): void => {
  letGo();
  set({ phase: "over", problem, reason });
};

function letGo(): void {
  line?.close();
  line = null;
}

/** Begin to talk: sound first, because the browser may ask the person; then the conversation. */
export async function beginVoice(mode: Mode): Promise<void> {
  const mine = ++attempt;
  letGo();
  set({ ...FRESH, mode, phase: "opening", isMuted: false });
  useTalk.setState({ isCall: true, isTalk: false });
  let opened: Line;
  try {
    opened = await Line.open(mode === "microphone", { news, told, closed });
  } catch (error) {
    if (mine === attempt) fail(error instanceof NoSound ? error.trouble : "failed");
    return;
  }
  if (mine !== attempt) return opened.close();
  line = opened;
  useTalk.setState({ isTalk: true });
  set({ phase: "connecting" });
  await startTalk();
  if (mine === attempt && useTalk.getState().phase === "failed") fail("failed", useTalk.getState().failure);
}

/** Back to the call as text. */
export function leaveVoice(): void {
  attempt += 1;
  line?.send({ t: "hang_up" });
  letGo();
  set({ ...FRESH, mode: "", isMuted: false });
  useTalk.setState({ isTalk: false });
}

export function hangUp(): void {
  attempt += 1;
  line?.send({ t: "hang_up" });
  letGo();
  set({ phase: "over", problem: "", saying: "" });
}

export function mute(on: boolean): void {
  line?.mute(on);
  set({ isMuted: on });
}

export const press = (key: string): boolean => line?.send({ t: "key", key }) ?? false;

/** Typed words become the caller's; while somebody is being rung, an option is how that ends. */
function speak(text: string, optionId: string): boolean {
  if (get().phase === "rings") return optionId ? (line?.send({ t: "moved", result: optionId }) ?? false) : false;
  if (get().phase !== "live" || !line?.send({ t: "say", text: text.slice(0, 500) })) return false;
  set({ saying: text });
  return true;
}

function news(n: News): void {
  set({ microphone: n.microphone, agent: n.agent, frame: n.frame, ahead: n.ahead, underruns: n.underruns, earMs: n.ahead + (line?.outputMs ?? 0) });
}

function told(message: any): void {
  if (message.t === "connected") set({ phase: "live", problem: "", reason: "" });
  else if (message.t === "rings") {
    set({ phase: "rings" });
    useTalk.getState().ring(message.target);
  } else if (message.t === "moved") set({ phase: "live" });
  else if (message.t === "refused") set({ saying: "", reason: message.message });
  else if (message.t === "error") set({ problem: problemOf(message), reason: message.message });
  else if (message.t === "over") {
    const problem: Problem = get().problem || (message.reason === "too_long" ? "too_long" : "");
    letGo();
    set({ phase: "over", problem, saying: "" });
  }
}

function closed(code: number): void {
  if (get().phase === "over" || get().phase === "off") return;
  fail(code === 4401 || code === 4403 ? "failed" : "lost");
}

function problemOf(event: LiveEvent): Problem {
  const reason = event.reason ?? event.params?.reason;
  if (reason === "no_speech" || reason === "no_voice") return "no_speech";
  if (reason === "voice_down") return "voice_down";
  return event.code === "too_many" ? "too_many" : "failed";
}

setSound({ say: speak, earMs: () => get().earMs });
onLive((event) => {
  if (!get().mode) return;
  if (event.type === "talk" && line) {
    set({ optionsOnly: event.options_only, canType: event.can_type, phase: "connecting" });
    line.connect(event.ticket);
  } else if (event.type === "error" && get().phase === "connecting") fail(problemOf(event), event.message);
  else if (event.type === "message" && event.message?.role === "contact") set({ saying: "", reason: "" });
});
useEditor.subscribe((now, before) => {
  if (get().mode && (now.flowId !== before.flowId || (before.panels.test && !now.panels.test))) leaveVoice();
});
