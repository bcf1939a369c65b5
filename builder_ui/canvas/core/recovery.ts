// Bringing back what an earlier tab could not save, and telling which of our edits clash with the others'.
import { api, type ApiError } from "./api";
import { applyEdit, inverse, touches } from "./edits";
import { dropJournal, type Journal } from "./journal";
import type { Edit, Flow } from "./types";

/** Send what a journal holds under its own numbers; the error that stopped it, if any. What was saved leaves the journal. */
export async function replay(flowId: string, journal: Journal): Promise<ApiError | null> {
  const batches = journal.inFlight ? [journal.inFlight] : [];
  if (journal.queue.length) batches.push({ seq: journal.nextSeq, base: journal.rev, edits: journal.queue });
  for (const { seq, base, edits } of batches) {
    try {
      await api.saveEdits(flowId, { client: journal.client, seq, base_revision: base, edits });
      if (journal.inFlight?.seq === seq) journal.inFlight = null;
      else journal.queue = [];
    } catch (error) {
      return error as ApiError;
    }
  }
  dropJournal(flowId, journal.client);
  return null;
}

/** The draft was replaced in one piece, or the server no longer knows what changed since our revision. */
const EVERYTHING = "*";

/** Which of `mine` write a place that was changed elsewhere; `paths` are the places of ours that the server named. */
export function clashing(mine: Edit[], paths: string[], before: Flow | null, after: Flow): Edit[] {
  if (!paths.includes(EVERYTHING)) return mine.filter((e) => touches(e).some((p) => paths.includes(p)));
  return mine.filter((e) => !before || placeIn(before, e) !== placeIn(after, e));
}

/** Whether the edit still fits: a step that was deleted elsewhere cannot be changed any more. */
export function fits(flow: Flow, e: Edit): boolean {
  try {
    applyEdit(flow, e);
    return true;
  } catch {
    return false;
  }
}

/** What a flow holds at the place an edit writes, in a form that can be compared. */
function placeIn(flow: Flow, e: Edit): string {
  try {
    return JSON.stringify(inverse(flow, e));
  } catch {
    return "";
  }
}

/** Calls `run` when the page goes away or out of sight; returns what ends that. */
export function whenLeaving(run: () => void): () => void {
  const hide = () => document.visibilityState === "hidden" && run();
  window.addEventListener("pagehide", run);
  document.addEventListener("visibilitychange", hide);
  return () => {
    window.removeEventListener("pagehide", run);
    document.removeEventListener("visibilitychange", hide);
  };
}
