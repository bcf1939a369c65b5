// The telephone in the page, on the audio thread: the microphone becomes frames of 20 ms at 8 kHz, and such frames are heard.
declare const sampleRate: number;
declare const registerProcessor: (name: string, processor: unknown) => void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

const RATE = 8000;
const FRAME = 160;
/** Frames that wait before sound begins: a page that is busy for a moment must not be heard. */
const AHEAD = 3;
/** Silence between words is shortened above this, so that a late burst does not make the whole talk late. */
const LONG_AHEAD = 6;
/** More than a second is never right: the oldest goes, and is counted. */
const MOST = 50;
const NEWS_FRAMES = 5;

/** Changes the rate of a stream with a windowed sinc; `FINE` places between two samples. */
class Resampler {
  private static readonly FINE = 128;
  private readonly step: number;
  private readonly half: number;
  private readonly kernel: Float32Array;
  private kept = new Float32Array(0);
  private at: number;

  constructor(from: number, to: number) {
    const band = Math.min(1, to / from) * 0.94;
    this.step = from / to;
    this.half = Math.ceil(10 / band);
    this.at = this.half;
    this.kernel = new Float32Array(this.half * Resampler.FINE + 2);
    for (let i = 0; i < this.kernel.length; i += 1) {
      const x = i / Resampler.FINE;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * band * x) / (Math.PI * band * x);
      this.kernel[i] = x >= this.half ? 0 : band * sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / this.half));
    }
    this.kept = new Float32Array(this.half);
  }

  feed(input: Float32Array): Float32Array {
    const data = new Float32Array(this.kept.length + input.length);
    data.set(this.kept);
    data.set(input, this.kept.length);
    const count = Math.max(0, Math.ceil((data.length - this.half - this.at) / this.step));
    const out = new Float32Array(count);
    for (let n = 0; n < count; n += 1) {
      const center = this.at + n * this.step;
      let sum = 0;
      for (let i = Math.max(0, Math.ceil(center - this.half)); i <= center + this.half && i < data.length; i += 1)
        sum += data[i] * this.kernel[Math.round(Math.abs(i - center) * Resampler.FINE)];
      out[n] = sum;
    }
    this.at += count * this.step;
    const done = Math.max(0, Math.floor(this.at) - this.half);
    this.kept = data.slice(done);
    this.at -= done;
    return out;
  }
}

type Heard = { number: number; samples: Float32Array; isSilent: boolean };

const joined = (a: Float32Array, b: Float32Array): Float32Array => {
  const out = new Float32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
};
const loudness = (samples: Float32Array): number => Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / Math.max(1, samples.length));

class LineProcessor extends AudioWorkletProcessor {
  private readonly down = new Resampler(sampleRate, RATE);
  private readonly up = new Resampler(RATE, sampleRate);
  private spoken: Float32Array = new Float32Array(0);
  private queue: Heard[] = [];
  private ready: Float32Array = new Float32Array(0);
  private isPlaying = false;
  private isMuted = false;
  private frame = -1;
  private lastWasSound = false;
  private underruns = 0;
  private dropped = 0;
  private inLevel = 0;
  private outLevel = 0;
  private sinceNews = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent) => {
      if (data.t === "mute") this.isMuted = data.on;
      else if (data.t === "frame") this.take(data.number, data.pcm);
      else if (data.t === "clear") {
        this.queue = [];
        this.isPlaying = false;
        this.frame = -1;
      }
    };
  }

  process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const microphone = inputs[0]?.[0];
    if (microphone?.length) this.hear(microphone);
    const out = outputs[0]?.[0];
    if (out) this.play(out);
    return true;
  }

  private hear(input: Float32Array): void {
    this.spoken = joined(this.spoken, this.down.feed(input));
    while (this.spoken.length >= FRAME) {
      const frame = this.spoken.slice(0, FRAME);
      this.spoken = this.spoken.slice(FRAME);
      this.inLevel = Math.max(this.inLevel, this.isMuted ? 0 : loudness(frame));
      if (this.isMuted) continue;
      const pcm = Int16Array.from(frame, (x) => Math.max(-32768, Math.min(32767, Math.round(x * 32767))));
      this.port.postMessage({ t: "microphone", pcm: pcm.buffer }, [pcm.buffer]);
    }
  }

  private take(number: number, buffer: ArrayBuffer): void {
    const pcm = new Int16Array(buffer);
    this.queue.push({ number, samples: Float32Array.from(pcm, (x) => x / 32768), isSilent: pcm.every((x) => x === 0) });
    for (let i = 0; this.queue.length > LONG_AHEAD && i < this.queue.length; )
      if (this.queue[i].isSilent) this.queue.splice(i, 1);
      else i += 1;
    while (this.queue.length > MOST) {
      this.queue.shift();
      this.dropped += 1;
    }
  }

  private play(out: Float32Array): void {
    while (this.ready.length < out.length) {
      if (!this.isPlaying && this.queue.length < AHEAD) break;
      this.isPlaying = true;
      const next = this.queue.shift();
      if (!next) {
        if (this.lastWasSound) this.underruns += 1;
        this.isPlaying = false;
        break;
      }
      this.frame = next.number;
      this.lastWasSound = !next.isSilent;
      this.outLevel = Math.max(this.outLevel, loudness(next.samples));
      this.ready = joined(this.ready, this.up.feed(next.samples));
      this.sinceNews += 1;
    }
    out.set(this.ready.subarray(0, out.length));
    this.ready = this.ready.slice(out.length);
    if (this.sinceNews >= NEWS_FRAMES) this.tell();
  }

  private tell(): void {
    const ahead = this.queue.length * 20 + (this.ready.length / sampleRate) * 1000;
    this.port.postMessage({
      t: "news", frame: this.frame, ahead, underruns: this.underruns, dropped: this.dropped, microphone: this.inLevel, agent: this.outLevel,
    });
    this.inLevel = this.outLevel = this.sinceNews = 0;
  }
}

registerProcessor("patchcord-line", LineProcessor);
