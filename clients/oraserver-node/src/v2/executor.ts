/** Carries out what the core asks for: stores first, then sends and calls the application, in the core's order. */

import type { Listener } from "../listener.js";
import type { Effect } from "./effects.js";
import type { Store } from "./store.js";
import type { Utterance } from "./utterance.js";

const EFFECT_OVERHEAD_BYTES = 512;

/** What the executor reports to its owner. */
export interface Outcome {
  send(effect: Effect & { kind: "send" | "close" }): void;
  taken(utterance: Utterance): void;
  stopped(utterance: Utterance, ms: number | undefined): void;
  /** The store has failed. Nothing that waited was carried out, and nothing more is. */
  failed(error: unknown): void;
  /** The application has thrown, or its promise was rejected. */
  complained(error: unknown): void;
}

export class Executor {
  /** About how many bytes of memory wait to be stored or carried out. */
  waiting = 0;
  #queue: Effect[] = [];
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(
    private readonly store: Store,
    private readonly listener: Listener,
    private readonly outcome: Outcome,
  ) {}

  push(effects: readonly Effect[]): void {
    if (effects.length === 0 || this.#stopped) return;
    for (const effect of effects) this.#queue.push(effect);
    this.waiting += bytesOf(effects);
    this.#running ??= this.#run();
  }

  /** Resolves when all that was pushed is carried out. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Carry out nothing more: the store is being closed. */
  stop(): void {
    this.#stopped = true;
    this.#queue = [];
  }

  async #run(): Promise<void> {
    await undefined; // what comes in the same turn is stored together
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      const changes = batch.flatMap((effect) => (effect.kind === "save" ? [effect.change] : []));
      try {
        // All of the batch is stored before any of it is sent or given: then the order within it does not matter.
        if (changes.length > 0) await this.store.commit(changes);
      } catch (error) {
        this.stop();
        this.outcome.failed(error);
        break;
      }
      this.waiting -= bytesOf(batch);
      for (const effect of batch) this.#carryOut(effect);
    }
    this.#running = undefined;
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case "send":
      case "close":
        return this.outcome.send(effect);
      case "begin":
        return this.#call(() => this.listener.onBegin?.(effect.utterance.speech));
      case "sentence":
        return this.#call(() => this.listener.onSentence?.(effect.utterance.speech, effect.sentence));
      case "words":
        return this.#call(() => this.listener.onWords?.(effect.utterance.speech, effect.sentence, effect.words));
      case "audio":
        return this.#give(effect);
      case "ended": {
        const { speech } = effect.utterance;
        if (effect.utterance.state === "cancelled") return; // a cancel has come meanwhile
        if (speech.end === "complete") return this.#call(() => this.listener.onComplete?.(speech));
        return this.#call(() => this.listener.onInterrupted?.(speech));
      }
      case "stop":
        return this.#stop(effect.utterance);
    }
  }

  #give({ utterance, at, data }: Effect & { kind: "audio" }): void {
    let done: unknown;
    if (utterance.state !== "cancelled") {
      const { sessionId, requestId, phoneId, format, sampleRate, channels, engine, language } = utterance.speech;
      const metadata = { sessionId, requestId, phoneId, format, sampleRate, channels, engine, language };
      this.#call(() => (done = this.listener.onAudio?.(utterance.speech, data, at, metadata)));
    }
    this.#after(done, () => this.outcome.taken(utterance));
  }

  #stop(utterance: Utterance): void {
    let done: unknown;
    this.#call(() => (done = this.listener.onInterrupted?.(utterance.speech)));
    this.#after(done, (answer) => this.outcome.stopped(utterance, playedMs(answer)));
  }

  /** At once if the application does not need time. A rejected promise counts as done: its phone is the application's concern. */
  #after(done: unknown, then: (value: unknown) => void): void {
    if (!(done instanceof Promise)) return then(done);
    (done as Promise<unknown>)
      .catch((error: unknown) => {
        this.outcome.complained(error);
        return undefined;
      })
      .then(then)
      .catch((error: unknown) => this.outcome.complained(error));
  }

  /** An exception of the application must not end the connection. */
  #call(listener: () => unknown): void {
    try {
      listener();
    } catch (error) {
      this.outcome.complained(error);
    }
  }
}

/** Of the application's answer, if it has one. */
function playedMs(answer: unknown): number | undefined {
  const ms: unknown = (answer as { playedMs?: unknown } | undefined | null)?.playedMs;
  return typeof ms === "number" && ms >= 0 && ms < Number.MAX_SAFE_INTEGER ? Math.floor(ms) : undefined;
}

/** Effects without audio count too: else a flood of them would take memory without a bound. */
function bytesOf(effects: readonly Effect[]): number {
  let bytes = effects.length * EFFECT_OVERHEAD_BYTES;
  for (const effect of effects) {
    if (effect.kind === "sentence" || effect.kind === "words") bytes += 2 * effect.sentence.text.length;
    if (effect.kind === "words") bytes += 64 * effect.words.length;
    if (effect.kind !== "save" || effect.change.kind !== "bytes") continue;
    for (const piece of effect.change.bytes) bytes += piece.length;
  }
  return bytes;
}
