// Unsaved edits kept on this computer, so that neither a crash nor a closed laptop loses them; replayed at the next open.
import type { Edit } from "./types";

export type Journal = {
  client: string;
  /** The batch that was sent and not acknowledged; resent under the same number. */
  inFlight: { seq: number; base: number; edits: Edit[] } | null;
  queue: Edit[];
  nextSeq: number;
  rev: number;
  /** Milliseconds since the epoch of the last sign of life of the tab that wrote it. */
  at: number;
};

const PREFIX = "patchcord.journal.";
/** A tab with unsaved edits signs its journal every 4 s; three missed signs mean that the tab is gone. */
export const SIGN_MS = 4000;
const GONE_MS = 12_500;

const key = (flowId: string, client: string) => `${PREFIX}${flowId}.${client}`;

export function writeJournal(flowId: string, journal: Journal): void {
  try {
    localStorage.setItem(key(flowId, journal.client), JSON.stringify(journal));
  } catch {
    // No room or no storage: the edits are still in memory and on their way.
  }
}

export function dropJournal(flowId: string, client: string): void {
  try {
    localStorage.removeItem(key(flowId, client));
  } catch {
    // Nothing was stored.
  }
}

/** Take over the journals of tabs that are gone; `mine` (what this tab was before its reloads) counts as gone. */
export function abandonedJournals(flowId: string, mine: string[], now = Date.now()): Journal[] {
  const found: Journal[] = [];
  try {
    for (const name of Object.keys(localStorage)) {
      if (!name.startsWith(`${PREFIX}${flowId}.`)) continue;
      const journal = JSON.parse(localStorage.getItem(name) ?? "null") as Journal | null;
      if (!journal) continue;
      if (mine.includes(journal.client) || now - journal.at > GONE_MS) found.push(journal);
    }
  } catch {
    // A damaged journal cannot be replayed.
  }
  return found.sort((a, b) => a.at - b.at);
}

/** The client ids this tab had before its last reloads; the present one joins them. */
export function rememberClient(flowId: string, client: string): string[] {
  try {
    const name = `patchcord.client.${flowId}`;
    const before: string[] = JSON.parse(sessionStorage.getItem(name) ?? "[]");
    sessionStorage.setItem(name, JSON.stringify([...before, client].slice(-20)));
    return before;
  } catch {
    return [];
  }
}
