// What a test conversation has done on the canvas: state per step and the wires it took.
import type { LiveEvent, StepState } from "./types";

export type RunState = {
  conversationId: string;
  steps: Record<string, StepState>;
  /** Exits ("node.port") that were taken. */
  path: Record<string, true>;
  /** Of steps that have answered a caller: milliseconds from the caller's last word to the first word of the answer. */
  answers: Record<string, number>;
};
export const NO_RUN: RunState = { conversationId: "", steps: {}, path: {}, answers: {} };

/** A step inside a sub-flow is named "<run_flow step>/<step>"; the card that is on screen is the first. */
const onScreen = (id: string): string => id.split("/")[0];

export function stepped(run: RunState, event: LiveEvent): RunState {
  if (event.type === "turn" || event.type === "ended") {
    const steps = Object.fromEntries(
      Object.entries(run.steps).map(([id, state]) => [id, state === "running" ? "done" : state]),
    ) as RunState["steps"];
    return { ...run, steps };
  }
  if (event.type === "times" && event.node_id && event.times?.first_frame)
    return { ...run, answers: { ...run.answers, [onScreen(event.node_id)]: event.times.first_frame } };
  if (event.type !== "step" || !event.node_id) return run;
  const id = onScreen(event.node_id);
  const states: Record<string, StepState> = { entered: "running", left: "done", waiting: "waiting", failed: "failed" };
  const state = states[event.state];
  if (!state) return run;
  const isInner = id !== event.node_id;
  const path = event.port && !isInner ? { ...run.path, [`${id}.${event.port}`]: true as const } : run.path;
  return { ...run, path, steps: { ...run.steps, [id]: isInner && state === "done" ? "running" : state } };
}
