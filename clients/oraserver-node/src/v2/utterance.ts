/** The bytes of an utterance, and what has become of them. Pure: no I/O. */

import type { Speech } from "../listener.js";
import type { Open, Range, Status } from "./messages.js";
import { Sentences } from "./sentences.js";

export const MAX_RANGES = 64;

/** What a store keeps of an utterance besides its bytes. */
export interface UtteranceRecord {
  readonly kind: "utterance";
  readonly node: string;
  readonly session: string;
  readonly seq: number;
  readonly phone: string;
  readonly request: string;
  readonly format: string;
  readonly rate: number;
  readonly channels: number;
  readonly engine: string;
  readonly language: string;
  readonly state: "unfinished" | "whole" | "cancelled";
  /** All bytes before it are stored. */
  readonly upto: number;
  /** The application has got the bytes before it, or gets them next and never again. */
  readonly given: number;
  readonly size?: number | undefined;
  readonly status?: Status | undefined;
  readonly ms?: number | undefined;
  /** The application knows how it ended. */
  readonly closed: boolean;
  /** The cancel that has ended it. */
  readonly cancel?: string | undefined;
  /** What the phone has played, as the application has said; undefined if it has said nothing. */
  readonly played?: number | undefined;
  /** The phone plays no more of it. */
  readonly done: boolean;
  /** When the phone has played it, by its duration; undefined while this is not known. */
  readonly playsUntil?: number | undefined;
  /** When it changed last, in ms since 1970. */
  readonly at: number;
}

interface Part {
  at: number;
  data: Buffer[];
  end: number;
}

/** What a frame has brought. */
export interface Arrival {
  /** The bytes by which `upto` has risen, and their offset. */
  readonly at: number;
  readonly bytes: Buffer[];
  /** Bytes are missing before it, or it has filled such a gap: the bridge is to know at once. */
  readonly urgent: boolean;
}

export class Utterance {
  upto: number;
  given: number;
  /** The application has done with the bytes before it. At most one piece of audio is with the application at a time. */
  taken: number;
  state: UtteranceRecord["state"];
  size: number | undefined;
  status: Status | undefined;
  ms: number | undefined;
  closed: boolean;
  cancel: string | undefined;
  played: number | undefined;
  done: boolean;
  playsUntil: number | undefined;
  at: number;
  /** The application knows of it, in this process. */
  announced = false;
  /** Its last stream, on which `played` is sent. */
  sentOn: { readonly connection: number; readonly s: number } | undefined;
  readonly speech: Speech;
  /** In memory only: after a restart the application gets those again that the bridge sends again. */
  readonly sentences = new Sentences();
  /** The bytes from `given` to `upto`. */
  #ready: Buffer[];
  /** What is stored above `upto`: in order, without overlap, and never touching each other. In memory only. */
  #parts: Part[] = [];

  constructor(
    readonly record: UtteranceRecord,
    ready: Buffer[] = [],
    file = "",
  ) {
    this.upto = record.upto;
    this.given = this.taken = record.given;
    this.state = record.state;
    this.size = record.size;
    this.status = record.status;
    this.ms = record.ms;
    this.closed = record.closed;
    this.cancel = record.cancel;
    this.played = record.played;
    this.done = record.done;
    this.playsUntil = record.playsUntil;
    this.at = record.at;
    this.#ready = ready;
    this.speech = {
      transport: "websocket-v2", sessionId: record.session, requestId: record.request, phoneId: record.phone, file,
      node: record.node, seq: record.seq, format: record.format, sampleRate: record.rate, channels: record.channels,
      engine: record.engine, language: record.language, bytes: record.upto,
      ...(this.closed || this.state === "cancelled" ? { end: this.state === "cancelled" ? "cancelled" : (record.status ?? "failed") } : {}),
    };
  }

  static begin(node: string, open: Open, file: string, now: number): Utterance {
    const { session, seq, phone, request, format, rate, channels, engine, language } = open;
    const state = { state: "unfinished" as const, upto: 0, given: 0, closed: false, done: false, at: now };
    return new Utterance({ kind: "utterance", node, session, seq, phone, request, format, rate, channels, engine, language, ...state }, [], file);
  }

  /** What a store is to keep now. */
  snapshot(now: number): UtteranceRecord {
    this.at = now;
    const { upto, given, state, size, status, ms, closed, cancel, played, done, playsUntil } = this;
    return { ...this.record, upto, given, state, size, status, ms, closed, cancel, played, done, playsUntil, at: now };
  }

  /** Whether `open` is about this utterance, and not about another one with its sequence. */
  matches(open: Open): boolean {
    const { request, phone, format, rate, channels } = this.record;
    return request === open.request && phone === open.phone && format === open.format && rate === open.rate && channels === open.channels;
  }

  ranges(): Range[] {
    return this.#parts.map(({ at, end }) => [at, end] as const);
  }

  /** The end of the highest byte that is stored. */
  get highest(): number {
    return this.#parts.at(-1)?.end ?? this.upto;
  }

  /** Take the bytes of a frame. Those that are stored stay; those for which there is no range left are dropped. */
  arrive(at: number, data: Uint8Array): Arrival {
    const before = { upto: this.upto, highest: this.highest, parts: this.#parts.length };
    const end = at + data.length;
    let added = 0;
    for (const [from, to] of this.#missing(Math.max(at, this.upto), end)) {
      // A copy: the frame is a part of a larger buffer of the socket, which would be kept with it.
      if (this.#insert(from, Buffer.from(data.subarray(from - at, to - at)))) added += to - from;
    }
    const bytes = this.#advance();
    const fills = added > 0 && before.parts > 0 && at < before.highest;
    return { at: before.upto, bytes, urgent: at > before.highest || fills };
  }

  /** All bytes that the application may have next, from `given` on, which then counts them. */
  next(): Buffer | undefined {
    if (this.#ready.length === 0) return undefined;
    const data = this.#ready.length === 1 ? this.#ready[0]! : Buffer.concat(this.#ready);
    this.#ready = [];
    this.given += data.length;
    return data;
  }

  completeIfWhole(): void {
    if (this.upto === this.size) this.state = "whole";
  }

  /** No more audio is taken. What is stored stays to be given. */
  finish(status: Status): void {
    this.state = "whole";
    this.size = this.upto;
    this.status = status;
    this.#parts = [];
  }

  /** Nothing more is given. */
  drop(cancel: string): void {
    this.state = "cancelled";
    this.cancel = cancel;
    this.#ready = [];
    this.#parts = [];
  }

  /** What of a range is not stored. */
  *#missing(from: number, to: number): Generator<Range> {
    for (const part of [...this.#parts]) {
      if (from >= to) return;
      if (part.end <= from) continue;
      if (part.at > from) yield [from, Math.min(part.at, to)];
      from = Math.max(from, part.end);
    }
    if (from < to) yield [from, to];
  }

  /** False if that would be one range too many. A range that begins at `upto` is none: `#advance` takes it. */
  #insert(at: number, data: Buffer): boolean {
    const index = this.#parts.findIndex((part) => part.at >= at + data.length);
    const place = index < 0 ? this.#parts.length : index;
    const below = this.#parts[place - 1];
    const above = this.#parts[place];
    const part: Part = { at, data: [data], end: at + data.length };
    const joinsBelow = below !== undefined && below.end === at;
    const joinsAbove = above !== undefined && above.at === part.end;
    if (!joinsBelow && !joinsAbove && at !== this.upto && this.#parts.length >= MAX_RANGES) return false;
    if (joinsAbove) {
      part.data.push(...above.data);
      part.end = above.end;
    }
    if (joinsBelow) {
      below.data.push(...part.data);
      below.end = part.end;
      if (joinsAbove) this.#parts.splice(place, 1);
    } else {
      this.#parts.splice(place, joinsAbove ? 1 : 0, part);
    }
    return true;
  }

  #advance(): Buffer[] {
    if (this.#parts[0]?.at !== this.upto) return [];
    const { data, end } = this.#parts.shift()!;
    this.upto = end;
    this.#ready.push(...data);
    this.speech.bytes = end;
    return data;
  }
}
