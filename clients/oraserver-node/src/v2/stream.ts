/** One stream of a connection, and when it needs an `ack`. Pure: no I/O. */

import type { ServerFrame } from "./messages.js";
import type { Session } from "./session.js";
import type { Utterance } from "./utterance.js";

export const ACK_MS = 250;
export const ACK_BYTES = 64 << 10;
export const ACK_UNFINISHED_MS = 2_000;

/** What the core keeps of a connection. */
export interface Peer {
  readonly id: number;
  /** Undefined before the bridge's `hello`. */
  node: string | undefined;
  /** Binary frames that were read. */
  seen: number;
  /** The highest number of a stream so far. */
  top: number;
  /** By number: those whose frames still count. */
  readonly streams: Map<number, Stream>;
  /** When it was opened. */
  readonly since: number;
}

export class Stream {
  /** Up to where the bridge may send, as it knows. It never falls. */
  limit: number;
  #ackedAt: number;
  #bytes = 0;
  #hasAudio = false;
  /** When a frame without an `ack` gets it; undefined if there is none. */
  #answerAt: number | undefined;

  constructor(
    readonly peer: Peer,
    readonly s: number,
    readonly session: Session,
    readonly utterance: Utterance,
    private readonly credit: number,
    now: number,
  ) {
    this.limit = this.#allowed;
    this.#ackedAt = now;
  }

  /** Up to where the bridge may send, as the application has taken audio. */
  get #allowed(): number {
    return Math.max(this.utterance.upto, this.utterance.taken + this.credit);
  }

  opened(): ServerFrame {
    const { upto, size, played } = this.utterance;
    return { t: "opened", s: this.s, upto, limit: this.limit, ranges: this.#ranges(), size, played };
  }

  ack(now: number): ServerFrame {
    this.limit = Math.max(this.limit, this.#allowed);
    this.#ackedAt = now;
    this.#bytes = 0;
    this.#answerAt = undefined;
    const { upto, size } = this.utterance;
    return { t: "ack", s: this.s, upto, limit: this.limit, seen: this.peer.seen, ranges: this.#ranges(), size };
  }

  /** A frame of audio has come. Returns whether it needs an `ack` at once. */
  arrived(bytes: number, now: number): boolean {
    const isFirst = !this.#hasAudio;
    this.#hasAudio = true;
    this.#bytes += bytes;
    this.#answerAt ??= (Math.floor(now / ACK_MS) + 1) * ACK_MS; // the same for all streams: their acks go together
    return isFirst || this.#bytes >= ACK_BYTES;
  }

  /** Whether time has made an `ack` due. */
  due(now: number): boolean {
    if (this.utterance.state !== "unfinished") return false;
    return now >= (this.#answerAt ?? this.#ackedAt + ACK_UNFINISHED_MS);
  }

  /** Whether the bridge may be waiting for a higher limit. */
  get hasRoom(): boolean {
    return this.utterance.state === "unfinished" && this.#allowed - this.limit >= this.credit / 4;
  }

  #ranges(): [number, number][] | undefined {
    const ranges = this.utterance.ranges();
    return ranges.length === 0 ? undefined : ranges.map(([from, to]) => [from, to]);
  }
}
