/** Where v2 keeps what must survive, and the store that survives nothing but the core. */

import type { Change, Key } from "./effects.js";
import type { SessionRecord } from "./session.js";
import type { Saved } from "./sessions.js";
import { Utterance, type UtteranceRecord } from "./utterance.js";

export interface Store {
  /** What was kept, with the bytes that the application has not got. It is called before anything else, and after a failed `commit`. */
  load(): Promise<Saved>;
  /** Keep all changes, in their order; resolves when they survive. If it throws, none or some of them are kept. */
  commit(changes: readonly Change[]): Promise<void>;
  /** Name of the audio file of an utterance; empty if there is none. */
  fileOf(of: Key): string;
  /** SHA-256 of the first `bytes` of the audio, in hex; empty if they are not kept. */
  sha256(of: Key, bytes: number): Promise<string>;
  close(): Promise<void>;
}

export function sessionKey(of: { node: string; session: string }): string {
  return JSON.stringify([of.node, of.session]);
}

export function utteranceKey(of: Key): string {
  return JSON.stringify([of.node, of.session, of.seq]);
}

/** The newest records, as changes have made them. */
export class Records {
  readonly sessions = new Map<string, SessionRecord>();
  readonly utterances = new Map<string, UtteranceRecord>();

  apply(change: Change): void {
    if (change.kind === "session") this.sessions.set(sessionKey(change), change);
    else if (change.kind === "utterance") this.utterances.set(utteranceKey(change), change);
    else if (change.kind === "forget") this.#forget(change.of);
  }

  get size(): number {
    return this.sessions.size + this.utterances.size;
  }

  #forget({ node, session, seq }: { node: string; session: string; seq?: number | undefined }): void {
    if (seq === undefined) this.sessions.delete(sessionKey({ node, session }));
    else this.utterances.delete(utteranceKey({ node, session, seq }));
  }
}

/**
 * Keeps everything in memory: an utterance's bytes until the application has got them, so at most `credit` for each.
 * When the process ends, the bridges send again what was not played.
 */
export class MemoryStore implements Store {
  readonly #records = new Records();
  /** The last bytes of an utterance, and their offset. */
  readonly #bytes = new Map<string, { at: number; data: Buffer[] }>();

  async load(): Promise<Saved> {
    const utterances = [...this.#records.utterances].map(([key, record]) => {
      const { at, data } = this.#bytes.get(key) ?? { at: record.upto, data: [] };
      return new Utterance(record, [Buffer.concat(data).subarray(record.given - at)].filter(({ length }) => length > 0));
    });
    return { sessions: [...this.#records.sessions.values()], utterances };
  }

  async commit(changes: readonly Change[]): Promise<void> {
    for (const change of changes) {
      this.#records.apply(change);
      if (change.kind === "bytes") this.#append(utteranceKey(change.of), change.at, change.bytes);
      else if (change.kind === "utterance") this.#drop(change);
    }
  }

  fileOf(): string {
    return "";
  }

  async sha256(): Promise<string> {
    return "";
  }

  async close(): Promise<void> {}

  #append(key: string, at: number, data: readonly Buffer[]): void {
    const kept = this.#bytes.get(key);
    if (kept === undefined) this.#bytes.set(key, { at, data: [...data] });
    else kept.data.push(...data);
  }

  #drop(record: UtteranceRecord): void {
    const key = utteranceKey(record);
    const kept = this.#bytes.get(key);
    if (kept === undefined) return;
    for (let first; (first = kept.data[0]) !== undefined && kept.at + first.length <= record.given; kept.data.shift()) kept.at += first.length;
    if (kept.data.length === 0 || record.state === "cancelled") this.#bytes.delete(key);
  }
}
