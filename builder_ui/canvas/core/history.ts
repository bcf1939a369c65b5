// Undo and redo as inverse edits: an entry is skipped when somebody else has changed its place since.
import { applyEdit, conflicting, inverse } from "./edits";
import type { Edit, Flow } from "./types";

export type Entry = { label: string; field: string; at: number; redo: Edit[]; undo: Edit[]; mark: number };

const TYPING_MS = 1000;
const LONGEST = 200;

export class History {
  past: Entry[] = [];
  future: Entry[] = [];
  private mark = 0;
  private remote: { mark: number; path: string }[] = [];

  /**
   * Remember a change to `before`. Changes of one `field` within a second of each other are one entry.
   * Returns the document after the edits.
   */
  record(before: Flow, edits: Edit[], label: string, field = "", now = Date.now()): Flow {
    let after = before;
    const undo: Edit[] = [];
    for (const e of edits) {
      undo.unshift(...inverse(after, e));
      after = applyEdit(after, e);
    }
    const last = this.past[this.past.length - 1];
    if (field && last?.field === field && now - last.at < TYPING_MS && !this.future.length) {
      last.redo = [...last.redo, ...edits];
      last.undo = [...undo, ...last.undo];
      last.at = now;
    } else {
      this.past.push({ label, field, at: now, redo: edits, undo, mark: this.mark });
      if (this.past.length > LONGEST) this.past.shift();
    }
    this.future = [];
    return after;
  }

  /** Somebody else wrote these places. */
  writtenElsewhere(paths: string[]): void {
    this.mark += 1;
    this.remote.push(...paths.map((path) => ({ mark: this.mark, path })));
    if (this.remote.length > 5000) this.remote.splice(0, 2500);
  }

  /** The entry to undo; null when there is none; `skipped` when its place was changed elsewhere. */
  takeUndo(): { entry: Entry; skipped: boolean } | null {
    const entry = this.past.pop();
    if (!entry) return null;
    if (this.isOverwritten(entry)) return { entry, skipped: true };
    this.future.push(entry);
    return { entry, skipped: false };
  }

  takeRedo(): { entry: Entry; skipped: boolean } | null {
    const entry = this.future.pop();
    if (!entry) return null;
    if (this.isOverwritten(entry)) return { entry, skipped: true };
    this.past.push({ ...entry, field: "" });
    return { entry, skipped: false };
  }

  save(name: string, revision: number): void {
    try {
      const kept = (entries: Entry[]) => entries.slice(-50).map((e) => ({ ...e, mark: 0, field: "" }));
      sessionStorage.setItem(name, JSON.stringify({ revision, past: kept(this.past), future: kept(this.future) }));
    } catch {
      // Undo then ends at the reload.
    }
  }

  /** Bring the entries back after a reload, if nobody changed the flow in between. */
  restore(name: string, revision: number): void {
    try {
      const kept = JSON.parse(sessionStorage.getItem(name) ?? "null");
      if (kept?.revision !== revision || !Array.isArray(kept.past)) return;
      this.past = kept.past;
      if (Array.isArray(kept.future)) this.future = kept.future;
    } catch {
      // Nothing to bring back.
    }
  }

  private isOverwritten(entry: Entry): boolean {
    const later = this.remote.filter((r) => r.mark > entry.mark).map((r) => r.path);
    if (!later.length) return false;
    return [...entry.undo, ...entry.redo].some((e) => conflicting(e, later).length > 0);
  }
}
