// A WebSocket that comes back: backs off, notices silence, tells whether it is worth waiting for.
type Events = { opened(again: boolean): void; closed(): void; frame(frame: any): void };

const PING_MS = 15_000;
const SILENCE_MS = 35_000;
const LONGEST_PAUSE_MS = 8000;
const SESSION_ENDED = 4401;

/** To the door and back here; what is not saved yet waits in the journal. */
export function signInAgain(): void {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}&expired=1`);
}

export class Socket {
  private socket: WebSocket | null = null;
  private failures = 0;
  private hasOpened = false;
  private heardAt = 0;
  private timers: number[] = [];
  private isClosed = false;
  private readonly retryNow = () => {
    if (!this.socket) this.connect();
  };

  constructor(
    private readonly path: string,
    private readonly events: Events,
  ) {
    window.addEventListener("online", this.retryNow);
  }

  /** Several attempts failed in a row: edits should go another way. */
  get isHopeless(): boolean {
    return this.failures >= 2;
  }

  connect(): void {
    if (this.socket || this.isClosed) return;
    this.clearTimers();
    const socket = new WebSocket(location.origin.replace(/^http/, "ws") + this.path);
    this.socket = socket;
    socket.onopen = () => {
      this.failures = 0;
      this.heardAt = Date.now();
      this.timers.push(window.setInterval(() => this.beat(), PING_MS));
      const again = this.hasOpened;
      this.hasOpened = true;
      this.events.opened(again);
    };
    socket.onmessage = (message) => {
      this.heardAt = Date.now();
      let frame: any;
      try {
        frame = JSON.parse(message.data);
      } catch {
        return;
      }
      this.events.frame(frame);
    };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.clearTimers();
      if (this.isClosed) return;
      if (event.code === SESSION_ENDED) signInAgain();
      this.failures += 1;
      this.events.closed();
      const pause = Math.min(LONGEST_PAUSE_MS, 300 * 2 ** this.failures) * (0.75 + Math.random() / 2);
      this.timers.push(window.setTimeout(() => this.connect(), pause));
    };
  }

  send(frame: object): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  close(): void {
    this.isClosed = true;
    this.clearTimers();
    window.removeEventListener("online", this.retryNow);
    this.socket?.close();
    this.socket = null;
  }

  private beat(): void {
    if (Date.now() - this.heardAt > SILENCE_MS) this.socket?.close();
    else this.send({ t: "ping" });
  }

  private clearTimers(): void {
    this.timers.forEach((timer) => {
      window.clearTimeout(timer);
      window.clearInterval(timer);
    });
    this.timers = [];
  }
}
