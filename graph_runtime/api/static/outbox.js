/* What the visitor has said and the server has not accepted yet: kept in the browser, sent in order, each once. */

const ANSWER_MS = 15_000;
const MOST_TRIES = 6;
const FINAL = new Set(["input_invalid", "too_large", "not_found", "conversation_ended", "agent_off"]);

function newId() {
  return crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/** `send(frame)` tells whether it could; `changed(entry, state)` shows: "waiting", "accepted", "failed", "gone". */
export class Outbox {
  constructor(store, { send, changed }) {
    Object.assign(this, { store, send, changed });
    this.conversation = "";
    this.flying = null;
    this.entries = store.get("outbox") ?? [];
  }

  add({ text = "", option = null, files = [] }) {
    const entry = {
      client_id: newId(),
      text,
      option_id: option?.id ?? "",
      files: files.map(({ file_id, name, mime, size }) => ({ file_id, name, mime, size })),
      at: new Date().toISOString(),
      conversation: this.conversation,
      tries: 0,
    };
    this.entries.push(entry);
    this.save();
    this.changed(entry, "waiting");
    this.flush();
    return entry;
  }

  /** The server greeted us: what belongs to this conversation goes out, what belonged to another is returned. */
  begin(conversation) {
    this.conversation = conversation;
    this.flying = null;
    clearTimeout(this.patience);
    const stale = this.entries.filter((e) => e.conversation && e.conversation !== conversation);
    this.entries = this.entries.filter((e) => !stale.includes(e));
    for (const entry of this.entries) {
      entry.conversation = conversation;
      if (entry.code) entry.tries = 0;
      delete entry.code;
      this.changed(entry, "waiting");
    }
    this.save();
    this.flush();
    return stale;
  }

  flush() {
    if (this.flying || !this.conversation) return;
    const entry = this.entries.find((e) => !e.code);
    if (!entry) return;
    const frame = {
      t: "say",
      client_id: entry.client_id,
      text: entry.text,
      option_id: entry.option_id,
      file_ids: entry.files.map((file) => file.file_id),
    };
    if (!this.send(frame)) return;
    this.flying = entry;
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.later(0), ANSWER_MS);
  }

  /** The server has it, by its answer or because the message itself came. */
  accepted(clientId) {
    const entry = this.entries.find((e) => e.client_id === clientId);
    if (!entry) return;
    this.entries = this.entries.filter((e) => e !== entry);
    this.save();
    this.land(entry);
    this.changed(entry, "accepted");
    this.flush();
  }

  refused(clientId, code, retryAfter) {
    const entry = this.entries.find((e) => e.client_id === clientId);
    if (!entry) return;
    entry.tries += 1;
    this.land(entry);
    if (FINAL.has(code) || entry.tries >= MOST_TRIES) {
      entry.code = code;
      this.save();
      this.changed(entry, "failed");
      this.flush();
      return;
    }
    this.save();
    this.flying = entry;
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.later(0), (retryAfter ?? Math.min(20, 2 ** entry.tries)) * 1000 + 200);
  }

  later() {
    this.flying = null;
    this.flush();
  }

  retry(entry) {
    delete entry.code;
    entry.tries = 0;
    this.save();
    this.changed(entry, "waiting");
    this.flush();
  }

  remove(entry) {
    this.entries = this.entries.filter((e) => e !== entry);
    this.save();
    this.land(entry);
    this.changed(entry, "gone");
    this.flush();
  }

  /** The connection is gone: whatever was on its way is sent again after the next welcome. */
  lost() {
    this.flying = null;
    clearTimeout(this.patience);
  }

  land(entry) {
    if (this.flying !== entry) return;
    this.flying = null;
    clearTimeout(this.patience);
  }

  save() {
    this.store.set("outbox", this.entries.length ? this.entries : null);
  }
}
