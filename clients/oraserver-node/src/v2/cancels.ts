/** Cancels whose answer waits until the phone is silent. Pure: no I/O. */

import type { Emit } from "./effects.js";
import type { Cancel } from "./messages.js";
import type { Utterance } from "./utterance.js";

/** The bridge takes a connection for broken that does not answer for 10 s. */
export const CLEARED_MS = 5_000;
const MAX_LISTED = 200; // with ids of 256 bytes they are 55 KB, and a frame may have 64 KiB

interface Waiting {
  readonly connection: number;
  readonly cancel: Cancel;
  readonly utterances: readonly Utterance[];
  readonly deadline: number;
}

/** Identifies a cancel, so that one which comes again gets the same answer. */
export function cancelKey({ before, seq }: Cancel): string {
  return `${before ?? ""}/${seq ?? ""}`;
}

export class Cancels {
  readonly #stopping = new Set<Utterance>();
  #waiting: Waiting[] = [];

  constructor(private readonly emit: Emit) {}

  /** `utterances` were ended by this cancel, now or before. Those of which the application has not said so are stopped. */
  begin(connection: number, cancel: Cancel, utterances: readonly Utterance[], now: number): void {
    for (const utterance of utterances) {
      if (utterance.closed || this.#stopping.has(utterance)) continue;
      this.#stopping.add(utterance);
      this.emit({ kind: "stop", utterance });
    }
    this.#waiting.push({ connection, cancel, utterances, deadline: now + CLEARED_MS });
    this.#answer(-Infinity);
  }

  /** The application has stopped it. */
  stopped(utterance: Utterance): void {
    this.#stopping.delete(utterance);
    this.#answer(-Infinity);
  }

  /** Answer what has waited too long: an application that does not answer must not break the connection. */
  tick(now: number): void {
    if (this.#waiting.length > 0) this.#answer(now);
  }

  #answer(now: number): void {
    const isReady = ({ utterances, deadline }: Waiting) => now >= deadline || !utterances.some((utterance) => this.#stopping.has(utterance));
    const ready = this.#waiting.filter(isReady);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => !ready.includes(waiting));
    for (const { connection, cancel, utterances } of ready) {
      const list = utterances.slice(-MAX_LISTED).map(({ record, played }) => [record.request, record.seq, played ?? 0] as const);
      const { session, before, seq } = cancel;
      this.emit({ kind: "send", connection, frame: { t: "cleared", session, utterances: list, before, seq } });
    }
  }
}
