/** All sessions, and how many records they are. Pure: no I/O. */

import type { Emit } from "./effects.js";
import { Session, type SessionRecord } from "./session.js";
import type { Utterance } from "./utterance.js";

/** What a store has kept. */
export interface Saved {
  readonly sessions: readonly SessionRecord[];
  readonly utterances: readonly Utterance[];
}

/** As long as a node may open an utterance again. */
export const KEEP_RECORDS_MS = 3_600_000;

export class Sessions {
  readonly #sessions = new Map<string, Session>();
  #records = 0;

  constructor(
    private readonly maxRecords: number,
    private readonly emit: Emit,
  ) {}

  /** Whether nothing more is to be kept: sessions, utterances and cancels of one utterance count. */
  get isFull(): boolean {
    return this.#records >= this.maxRecords;
  }

  find(node: string, id: string): Session | undefined {
    return this.#sessions.get(JSON.stringify([node, id]));
  }

  of(node: string, id: string): Session {
    let session = this.find(node, id);
    if (session === undefined) {
      session = new Session(node, id, this.emit);
      this.#sessions.set(JSON.stringify([node, id]), session);
      this.#records += 1;
    }
    return session;
  }

  /** Something was added to a session. */
  added(): void {
    this.#records += 1;
  }

  *utterances(): Generator<Utterance> {
    for (const session of this.#sessions.values()) yield* session.utterances.values();
  }

  restore(saved: Saved, now: number): void {
    for (const record of saved.sessions) this.of(record.node, record.session).restore(record);
    for (const utterance of saved.utterances) {
      if (utterance.state === "unfinished") utterance.at = now; // it gets its whole `keep_ms`
      this.of(utterance.record.node, utterance.record.session).add(utterance);
    }
    for (const session of this.#sessions.values()) session.pump(now);
    this.#count();
  }

  /** End the utterances that have waited for a connection for `keepMs`, and forget what is old. */
  sweep(now: number, keepMs: number): void {
    for (const [key, session] of this.#sessions) {
      for (const utterance of session.utterances.values()) {
        const isAlone = utterance.state === "unfinished" && session.stream?.utterance !== utterance;
        if (isAlone && now - utterance.at >= keepMs) session.cutShort(utterance, now);
      }
      session.pump(now);
      if (session.expire(now, KEEP_RECORDS_MS)) this.#sessions.delete(key);
    }
    this.#count();
  }

  #count(): void {
    this.#records = 0;
    for (const { utterances, cancelled } of this.#sessions.values()) this.#records += 1 + utterances.size + cancelled.size;
  }
}
