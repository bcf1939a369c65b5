// Keeps the browser's document and the server's draft the same: batches, acknowledgements, patches, reconnects.
//
// `base` is the document as the server last confirmed it (revision `rev`); what the person sees is always
// base + the batch in flight + the queue. One batch is in flight at a time; it is resent under the same number until the
// server answers, and the server applies each (client, seq) once.
import { api, ApiError, type SavedBatch } from "./api";
import { applyEdits, applyTolerantly, compacted, touches } from "./edits";
import { uuid } from "./ids";
import { abandonedJournals, dropJournal, rememberClient, SIGN_MS, writeJournal, type Journal } from "./journal";
import { clashing, fits, replay, whenLeaving } from "./recovery";
import type { Link, Listener } from "./listener";
import { signInAgain, Socket } from "./socket";
import type { Edit, Flow, OpenFlow } from "./types";

const SEND_AFTER_MS = 200;
const RESEND_AFTER_MS = 5000;
/** Bodies of keepalive requests are limited to 64 kB by browsers. */
const KEEPALIVE_BYTES = 60_000;

type InFlight = { seq: number; base: number; edits: Edit[]; sentAt: number };

export class Protocol {
  readonly client = uuid();
  private base!: Flow;
  private rev = 0;
  private seq = 0;
  private queue: Edit[] = [];
  private inFlight: InFlight | null = null;
  private savedAt: number | null = null;
  private link: Link = "connecting";
  private held = false;
  private resyncing = false;
  private early: any[] = [];
  /** Edits the server added to the batch in flight; they fit only on top of it. */
  private late: Edit[] = [];
  private sendTimer = 0;
  private socket: Socket;
  private stops: (() => void)[] = [];

  constructor(
    readonly flowId: string,
    private readonly tell: Listener,
  ) {
    this.socket = new Socket(`/ws/editor/${flowId}`, {
      opened: (again) => this.connected(again),
      closed: () => this.setLink("offline"),
      frame: (frame) => this.received(frame),
    });
  }

  /** Bring back what an earlier tab could not save, load the flow and connect. Throws ApiError. */
  async open(): Promise<OpenFlow> {
    const before = rememberClient(this.flowId, this.client);
    const lost: { journal: Journal; error: ApiError }[] = [];
    for (const journal of abandonedJournals(this.flowId, before)) {
      const error = await replay(this.flowId, journal);
      if (error) lost.push({ journal, error });
    }
    const open = await api.flow(this.flowId);
    this.base = open.flow;
    this.rev = open.revision;
    this.socket.connect();
    for (const { journal, error } of lost) this.keepWhatFits(journal, error);
    const tick = window.setInterval(() => this.tick(), 1000);
    this.stops.push(() => window.clearInterval(tick), whenLeaving(() => this.flushForGood()));
    return { ...open, flow: this.document() };
  }

  close(): void {
    this.flushForGood();
    this.stops.forEach((stop) => stop());
    this.socket.close();
  }

  document(): Flow {
    return applyTolerantly(this.base, [...(this.inFlight?.edits ?? []), ...this.queue]);
  }

  get revision(): number {
    return this.rev;
  }

  get isSaved(): boolean {
    return !this.inFlight && !this.queue.length;
  }

  /** Take finished edits; they leave 200 ms after the last one. */
  push(edits: Edit[]): void {
    this.queue = compacted([...this.queue, ...edits]);
    this.note();
    window.clearTimeout(this.sendTimer);
    this.sendTimer = window.setTimeout(() => this.send(), SEND_AFTER_MS);
    this.progress();
  }

  /** While a step is being dragged nothing leaves; a patch from elsewhere still arrives. */
  hold(on: boolean): void {
    this.held = on;
    if (!on) this.send();
  }

  /** Resolves when everything is saved, or rejects after `ms`. */
  settled(ms = 10_000): Promise<void> {
    window.clearTimeout(this.sendTimer);
    this.send();
    return new Promise((resolve, reject) => {
      const since = Date.now();
      const look = () => {
        if (this.isSaved) resolve();
        else if (Date.now() - since > ms) reject(new ApiError(0, "unreachable", ""));
        else window.setTimeout(look, 40);
      };
      look();
    });
  }

  raw(frame: object): boolean {
    return this.socket.send(frame);
  }

  /** The document was changed on the server in one piece (a restored version): take it as it is now. */
  async reload(): Promise<void> {
    this.resyncing = true;
    try {
      const open = await api.flow(this.flowId);
      this.base = open.flow;
      this.rev = open.revision;
      this.late = [];
      this.tell.document(this.document());
      this.tell.reloaded(open);
    } catch {
      // Still unreachable: the next connection tries again.
    } finally {
      this.resyncing = false;
    }
    const early = this.early.splice(0);
    early.forEach((frame) => this.received(frame));
    if (this.inFlight) this.transmit(this.inFlight);
    else this.send();
  }

  /** What the person chose for each clash: these edits of theirs are written over the others'. */
  keepMine(edits: Edit[]): void {
    this.push(edits);
    this.tell.document(this.document());
  }

  private connected(again: boolean): void {
    this.setLink("online");
    if (again) void this.reload();
    else if (this.inFlight) this.transmit(this.inFlight);
    else this.send();
  }

  private send(): void {
    if (this.held || this.inFlight || !this.queue.length || this.resyncing) return;
    this.inFlight = { seq: ++this.seq, base: this.rev, edits: this.queue, sentAt: Date.now() };
    this.queue = [];
    this.note();
    this.progress();
    this.transmit(this.inFlight);
  }

  private transmit(batch: InFlight): void {
    batch.sentAt = Date.now();
    const sent = this.socket.send({
      t: "edits", client: this.client, seq: batch.seq, base: batch.base, edits: batch.edits,
    });
    if (!sent && this.socket.isHopeless) void this.post(batch);
  }

  private async post(batch: InFlight): Promise<void> {
    const { seq, base, edits } = batch;
    try {
      const saved = await api.saveEdits(this.flowId, { client: this.client, seq, base_revision: base, edits });
      this.setLink("online");
      this.savedOverHttp(saved);
    } catch (error) {
      const e = error as ApiError;
      if (e.status === 401) signInAgain();
      else if (e.status === 409) this.conflicted(seq, e.body.paths ?? [], e.body.flow, e.body.revision);
      else if (e.status >= 400 && e.status < 500) this.rejected(seq, e.code, e.message);
      else this.setLink("offline");
    }
  }

  private savedOverHttp(saved: SavedBatch): void {
    if (this.inFlight?.seq !== saved.seq) return;
    this.base = applyTolerantly(this.base, saved.others ?? []);
    this.saved(saved.seq, saved.revision);
    if (saved.others?.length) {
      this.tell.document(this.document());
      this.tell.remote(saved.others.flatMap(touches), "");
    }
    if (saved.problems) this.tell.problems(saved.problems);
  }

  private received(frame: any): void {
    if (this.resyncing && (frame.t === "patch" || frame.t === "hello")) {
      this.early.push(frame);
      return;
    }
    switch (frame.t) {
      case "saved": return this.saved(frame.seq, frame.rev);
      case "conflict": return this.conflicted(frame.seq, frame.paths, frame.flow, frame.rev);
      case "rejected": return this.rejected(frame.seq, frame.code, frame.message);
      case "patch": return this.patched(frame.rev, frame.edits, frame.by ?? "");
      case "hello": return frame.rev > this.rev ? void this.reload() : undefined;
      case "problems": return this.tell.problems(frame.items);
      case "ports": return this.tell.ports(frame.nodes);
      case "live": return this.tell.live(frame.event);
      case "test": return this.tell.test(frame.conversation_id);
      case "editors": return this.tell.editors(frame.names);
    }
  }

  private saved(seq: number, rev: number): void {
    if (this.inFlight?.seq !== seq) return;
    const late = this.late.splice(0);
    this.base = applyTolerantly(this.base, [...this.inFlight.edits, ...late]);
    this.rev = Math.max(this.rev, rev);
    this.inFlight = null;
    if (late.length) this.tell.document(this.document());
    this.savedAt = Date.now();
    this.note();
    this.progress();
    this.send();
  }

  private patched(rev: number, edits: Edit[], by: string): void {
    if (rev <= this.rev) return;
    try {
      this.base = applyEdits(this.base, edits);
    } catch {
      if (!this.inFlight) return void this.reload();
      this.late.push(...edits);
    }
    this.rev = rev;
    this.tell.document(this.document());
    this.tell.remote(edits.flatMap(touches), by);
    this.progress();
  }

  private conflicted(seq: number, paths: string[], flow: Flow, rev: number): void {
    if (this.inFlight?.seq !== seq) return;
    const mine = this.inFlight.edits;
    const asked = clashing(mine, paths, this.base, flow);
    this.inFlight = null;
    this.late = [];
    this.base = flow;
    this.rev = rev;
    this.queue = [...mine.filter((e) => !asked.includes(e)), ...this.queue];
    this.note();
    this.tell.document(this.document());
    this.ask(asked);
    this.progress();
    this.send();
  }

  private ask(asked: Edit[]): void {
    const open = asked.filter((e) => fits(this.base, e));
    this.tell.clash(open.map((e) => ({ path: touches(e)[0], mine: e, theirs: this.base })));
    if (open.length < asked.length) this.tell.refused("gone", "");
  }

  private rejected(seq: number, code: string, message: string): void {
    if (this.inFlight?.seq !== seq) return;
    this.inFlight = null;
    this.note();
    this.tell.refused(code, message);
    void this.reload();
  }

  private tick(): void {
    if (this.inFlight && Date.now() - this.inFlight.sentAt > RESEND_AFTER_MS && !this.resyncing)
      this.transmit(this.inFlight);
    if (!this.isSaved && Date.now() % SIGN_MS < 1000) this.note();
    this.progress();
  }

  private flushForGood(): void {
    if (this.isSaved) return;
    // The same number that the journal and a living page use; what is behind it waits in the journal.
    this.inFlight ??= { seq: ++this.seq, base: this.rev, edits: this.queue.splice(0), sentAt: Date.now() };
    this.note();
    const { seq, base, edits } = this.inFlight;
    const batch = { client: this.client, seq, base_revision: base, edits };
    if (JSON.stringify(batch).length > KEEPALIVE_BYTES) return;
    void api.saveEdits(this.flowId, batch, true).then((s) => this.savedOverHttp(s), () => undefined);
  }

  private keepWhatFits(journal: Journal, error: ApiError): void {
    const edits = [...(journal.inFlight?.edits ?? []), ...journal.queue];
    if (error.status === 0 || error.status >= 500) return;
    dropJournal(this.flowId, journal.client);
    if (error.status !== 409) return this.tell.refused(error.code, error.message);
    const paths: string[] = error.body.paths ?? [];
    const asked = clashing(edits, paths, null, this.base);
    this.push(edits.filter((e) => !asked.includes(e)));
    this.ask(asked);
  }

  private note(): void {
    if (this.isSaved) return dropJournal(this.flowId, this.client);
    const { client, inFlight, queue, rev } = this;
    writeJournal(this.flowId, { client, inFlight, queue, rev, nextSeq: this.seq + 1, at: Date.now() });
  }

  private setLink(link: Link): void {
    this.link = link;
    this.progress();
  }

  private progress(): void {
    const pending = this.queue.length + (this.inFlight?.edits.length ?? 0);
    this.tell.progress({ link: this.link, pending, savedAt: this.savedAt, revision: this.rev });
  }
}
