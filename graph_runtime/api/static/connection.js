/* The socket to the server: opens it, keeps it alive, and opens it again after a growing, random pause. */

const FIRST_MS = 600;
const LONGEST_MS = 30_000;
const SILENCE_MS = 40_000; // the server says something every 25 s
const WELCOME_MS = 15_000;
const STEADY_MS = 5_000;
const FINAL = new Set([4400, 4403, 4404]);

/** States told to `changed(state, detail)`: "connecting", "open", "waiting" (detail: ms until the next try),
 * "refused" (detail: the close code; it does not try again by itself). */
export class Connection {
  constructor(address, { hello, received, changed }) {
    Object.assign(this, { address, hello, received, changed });
    this.socket = null;
    this.tries = 0;
    this.state = "closed";
    addEventListener("online", () => this.wanted && this.now());
    addEventListener("offline", () => this.wanted && this.lost());
    addEventListener("pageshow", (event) => event.persisted && this.wanted && this.now());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible" || !this.wanted) return;
      if (this.state === "open") this.probe();
      else if (this.state === "waiting") this.now();
    });
  }

  /** Connect at once, whatever was planned. */
  now() {
    if (this.state === "open" || this.state === "connecting") return;
    this.open();
  }

  open() {
    this.drop();
    this.wanted = true;
    this.set("connecting");
    let socket;
    try {
      socket = new WebSocket(this.address);
    } catch {
      this.lost();
      return;
    }
    this.socket = socket;
    this.watch(WELCOME_MS);
    socket.addEventListener("open", () => socket.send(JSON.stringify(this.hello())));
    socket.addEventListener("message", (event) => socket === this.socket && this.take(event.data));
    socket.addEventListener("close", (event) => socket === this.socket && this.lost(event.code));
  }

  /** Whether the frame went out; it may still be lost on the way. */
  send(frame) {
    if (this.state !== "open" || this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  take(text) {
    this.watch(SILENCE_MS);
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (frame.t === "ping") this.socket.send('{"t":"pong"}');
    if (frame.t === "welcome") {
      this.steady = setTimeout(() => (this.tries = 0), STEADY_MS);
      this.set("open");
    }
    this.received(frame);
  }

  /** A page that was asleep may hold a dead socket: ask, and do not wait long. */
  probe() {
    if (this.send({ t: "ping" })) this.watch(5_000);
  }

  watch(ms) {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.lost(), ms);
  }

  lost(code = 0) {
    this.drop();
    if (FINAL.has(code)) {
      this.wanted = false;
      this.set("refused", code);
      return;
    }
    const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.tries);
    const pause = code === 4429 ? 10_000 + Math.random() * 10_000 : most / 2 + (Math.random() * most) / 2;
    this.tries += 1;
    this.set("waiting", pause);
    this.again = setTimeout(() => this.open(), pause);
  }

  close() {
    this.wanted = false;
    this.drop();
    this.set("closed");
  }

  drop() {
    for (const timer of [this.again, this.silence, this.steady]) clearTimeout(timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  set(state, detail = 0) {
    this.state = state;
    this.changed(state, detail);
  }
}
