// The sound of one talk in this page: microphone and loudspeaker, and the socket that carries both.
import worklet from "./line_worklet.ts?worker&url";

export type Trouble = "insecure" | "unsupported" | "refused" | "no_microphone" | "microphone_busy";
export type News = { frame: number; ahead: number; underruns: number; dropped: number; microphone: number; agent: number };
type Events = { news(news: News): void; told(message: any): void; closed(code: number): void };

/** Raised with the reason why nobody can be heard here. */
export class NoSound extends Error {
  constructor(readonly trouble: Trouble) {
    super(trouble);
  }
}

const TROUBLES: Record<string, Trouble> = {
  NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "no_microphone", OverconstrainedError: "no_microphone",
  NotReadableError: "microphone_busy", AbortError: "microphone_busy",
};

async function openMicrophone(): Promise<MediaStream> {
  if (!navigator.mediaDevices?.getUserMedia) throw new NoSound("unsupported");
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
  } catch (error) {
    throw new NoSound(TROUBLES[(error as DOMException).name] ?? "unsupported");
  }
}

export class Line {
  private socket: WebSocket | null = null;

  private constructor(
    private readonly audio: AudioContext,
    private readonly node: AudioWorkletNode,
    private readonly stream: MediaStream | null,
    private readonly events: Events,
  ) {
    node.port.onmessage = ({ data }) => this.fromAudio(data);
  }

  /** Open what is needed for sound; `hasMicrophone` false: only to hear. */
  static async open(hasMicrophone: boolean, events: Events): Promise<Line> {
    if (!window.isSecureContext) throw new NoSound("insecure");
    if (!window.AudioContext || !window.AudioWorkletNode) throw new NoSound("unsupported");
    const stream = hasMicrophone ? await openMicrophone() : null;
    const audio = new AudioContext({ latencyHint: "interactive" });
    try {
      await audio.audioWorklet.addModule(worklet);
      const node = new AudioWorkletNode(audio, "patchcord-line", { numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [1] });
      if (stream) audio.createMediaStreamSource(stream).connect(node);
      node.connect(audio.destination);
      await audio.resume();
      return new Line(audio, node, stream, events);
    } catch (error) {
      stream?.getTracks().forEach((track) => track.stop());
      void audio.close();
      throw error instanceof NoSound ? error : new NoSound("unsupported");
    }
  }

  /** Milliseconds from a sample that is played to the ear. */
  get outputMs(): number {
    return ((this.audio.outputLatency || 0) + (this.audio.baseLatency || 0)) * 1000;
  }

  connect(ticket: string): void {
    this.disconnect();
    this.node.port.postMessage({ t: "clear" });
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/talk/${ticket}`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") return this.events.told(JSON.parse(data));
      const pcm = data.slice(4);
      this.node.port.postMessage({ t: "frame", number: new DataView(data).getUint32(0), pcm }, [pcm]);
    };
    socket.onclose = ({ code }) => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.events.closed(code);
    };
  }

  send(wish: object): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(wish));
    return true;
  }

  mute(on: boolean): void {
    this.node.port.postMessage({ t: "mute", on });
    this.stream?.getAudioTracks().forEach((track) => (track.enabled = !on));
  }

  disconnect(): void {
    const socket = this.socket;
    this.socket = null;
    socket?.close(1000);
  }

  close(): void {
    this.disconnect();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.node.port.onmessage = null;
    void this.audio.close().catch(() => undefined);
  }

  private fromAudio(data: any): void {
    if (data.t === "microphone") {
      if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(data.pcm);
      return;
    }
    this.events.news(data);
  }
}
