/** The frames of OraServer protocol v2, checked. Pure: no I/O. Unknown types and keys are allowed. */

import { decode, encode } from "@msgpack/msgpack";
import { Unusable, id } from "../frames.js";

/** A frame that breaks the protocol: the connection is closed. The message contains nothing of the spoken text. */
export class Violation extends Error {}

export type Range = readonly [from: number, to: number];
export type Status = "complete" | "failed";

export interface Open {
  readonly t: "open";
  readonly s: number;
  readonly session: string;
  readonly phone: string;
  readonly request: string;
  readonly seq: number;
  readonly epoch: number;
  readonly try: number;
  readonly acked: number;
  readonly format: string;
  readonly rate: number;
  readonly channels: number;
  readonly engine: string;
  readonly language: string;
  readonly fresh: boolean;
}

/** Its first code point in the text of the request and its length; when it begins and ends, in ms of the utterance. */
export type Word = readonly [first: number, length: number, begin: number, end: number];

/** A sentence: what the frame `text` has, but for the words. */
export interface Sentence {
  readonly n: number;
  readonly ms: number;
  readonly text: string;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

export interface Text extends Sentence {
  readonly words?: readonly Word[] | undefined;
}

export interface Audio {
  readonly t: "audio";
  readonly s: number;
  readonly at: number;
  readonly data: Uint8Array;
  readonly ms?: number | undefined;
  readonly crc?: number | undefined;
}

export interface End {
  readonly t: "end";
  readonly s: number;
  readonly status: Status;
  readonly size: number;
  readonly ms: number;
  readonly code?: string | undefined;
}

/** It has `before`, `seq`, or both. */
export interface Cancel {
  readonly t: "cancel";
  readonly session: string;
  readonly epoch: number;
  readonly before?: number | undefined;
  readonly seq?: number | undefined;
}

export type BridgeFrame =
  | { readonly t: "hello"; readonly version: number; readonly node: string; readonly bridge: string; readonly software: string }
  | Open
  | ({ readonly t: "text"; readonly s: number } & Text)
  | Audio
  | End
  | Cancel
  | { readonly t: "unknown" };

/** What an OraServer sends. Keys that are undefined are left out. */
export type ServerFrame =
  | {
      t: "hello"; version: 2; credit: number; streams: number; formats: readonly string[]; keep_ms: number;
      crc?: true | undefined; played?: true | undefined;
    }
  | { t: "opened"; s: number; upto: number; limit: number; ranges?: Range[] | undefined; size?: number | undefined; played?: number | undefined }
  | { t: "ack"; s: number; upto: number; limit: number; seen: number; ranges?: Range[] | undefined; size?: number | undefined }
  | { t: "played"; s: number; ms: number; done?: true | undefined }
  | {
      t: "cleared"; session: string; utterances: readonly (readonly [string, number, number])[];
      before?: number | undefined; seq?: number | undefined;
    }
  | {
      t: "error"; code: string; message?: string | undefined; s?: number | undefined; session?: string | undefined;
      fatal?: true | undefined;
    };

// An array header of a few bytes may claim millions of elements, for which the library would take the memory at once.
// A frame of 256 KiB has at most 52 000 words, and no map of the protocol has more than 16 keys.
const LIMITS = { maxArrayLength: 1 << 16, maxMapLength: 1 << 10 };

export function encodeFrame(frame: ServerFrame): Uint8Array {
  return encode(frame, { ignoreUndefined: true });
}

/** Parse a binary frame. Throws Violation. */
export function decodeFrame(data: Uint8Array): BridgeFrame {
  let value: unknown;
  try {
    value = decode(data, LIMITS);
  } catch {
    throw new Violation("a frame is not msgpack"); // the library's own message might quote the text
  }
  const isMap = typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  if (!isMap) throw new Violation("a frame is no map");
  return new Keys(value as Record<string, unknown>).frame();
}

/** The keys of a map, taken out one by one and checked. */
class Keys {
  constructor(private readonly map: Record<string, unknown>) {}

  frame(): BridgeFrame {
    switch (this.string("t")) {
      case "hello":
        return { t: "hello", version: this.integer("version"), node: this.id("node"), bridge: this.string("bridge"), software: this.string("software") };
      case "open":
        return this.#open();
      case "text":
        return {
          t: "text", s: this.integer("s"), n: this.integer("n"), ms: this.integer("ms"), text: this.string("text"),
          from: this.maybe("from"), to: this.maybe("to"), words: this.#words(),
        };
      case "audio":
        return { t: "audio", s: this.integer("s"), at: this.integer("at"), data: this.#data(), ms: this.maybe("ms"), crc: this.maybe("crc") };
      case "end":
        return {
          t: "end", s: this.integer("s"), status: this.#status(), size: this.integer("size"), ms: this.integer("ms"),
          code: this.#has("code") ? this.string("code") : undefined,
        };
      case "cancel":
        return this.#cancel();
      default:
        return { t: "unknown" };
    }
  }

  string(key: string): string {
    const value = this.map[key];
    if (typeof value !== "string") throw new Violation(`${key} must be a string`);
    return value;
  }

  /** The ids of v1 and v2 have the same limits. */
  id(key: string): string {
    try {
      return id(this.map[key], key);
    } catch (error) {
      throw error instanceof Unusable ? new Violation(error.message) : error;
    }
  }

  /**
   * The library decodes 64-bit integers to doubles, which are exact up to 2^53. Any larger one becomes at least 2^53,
   * which is no safe integer, so it is refused and never rounded.
   */
  integer(key: string): number {
    const value = this.map[key];
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw new Violation(`${key} must be an integer from 0 to 2^53 - 1`);
    return value as number;
  }

  maybe(key: string): number | undefined {
    return this.#has(key) ? this.integer(key) : undefined;
  }

  #has(key: string): boolean {
    return this.map[key] !== undefined && this.map[key] !== null;
  }

  #open(): Open {
    const fresh = this.map["fresh"] ?? false;
    if (typeof fresh !== "boolean") throw new Violation("fresh must be a boolean");
    return {
      t: "open", s: this.integer("s"), session: this.id("session"), phone: this.id("phone"), request: this.id("request"),
      seq: this.integer("seq"), epoch: this.integer("epoch"), try: this.integer("try"), acked: this.integer("acked"),
      format: this.string("format"), rate: this.integer("rate"), channels: this.integer("channels"),
      engine: this.string("engine"), language: this.string("language"), fresh,
    };
  }

  #data(): Uint8Array {
    const value = this.map["data"];
    if (!(value instanceof Uint8Array) || value.length === 0) throw new Violation("data must be bytes, at least one");
    return value;
  }

  #status(): Status {
    const value = this.map["status"];
    if (value !== "complete" && value !== "failed") throw new Violation("status must be complete or failed");
    return value;
  }

  #words(): Text["words"] {
    if (!this.#has("words")) return undefined;
    const value = this.map["words"];
    const isWord = (word: unknown) =>
      Array.isArray(word) && word.length === 4 && word.every((number) => Number.isSafeInteger(number) && (number as number) >= 0);
    if (!Array.isArray(value) || !value.every(isWord)) throw new Violation("words must be an array of four integers each");
    return value as [number, number, number, number][];
  }

  #cancel(): Cancel {
    const cancel: Cancel = {
      t: "cancel", session: this.id("session"), epoch: this.integer("epoch"), before: this.maybe("before"), seq: this.maybe("seq"),
    };
    if (cancel.before === undefined && cancel.seq === undefined) throw new Violation("cancel must have before or seq");
    return cancel;
  }
}
