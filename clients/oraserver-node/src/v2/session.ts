/** A session: its fence, its cancels, and the order in which its utterances are given to the application. Pure: no I/O. */

import type { Emit } from "./effects.js";
import type { Cancel } from "./messages.js";
import type { Stream } from "./stream.js";
import type { Utterance } from "./utterance.js";

/** What a store keeps of a session. */
export interface SessionRecord {
  readonly kind: "session";
  readonly node: string;
  readonly session: string;
  readonly epoch: number;
  readonly try: number;
  readonly before: number;
  /** Sequences that were cancelled alone, and when. */
  readonly cancelled: readonly (readonly [seq: number, at: number])[];
  /** The highest sequence that was opened; -1 if there is none. */
  readonly top: number;
  readonly at: number;
}

export class Session {
  epoch = 0;
  try = -1; // lower than that of any open
  before = 0;
  top = -1;
  at = 0;
  readonly cancelled = new Map<number, number>();
  readonly utterances = new Map<number, Utterance>();
  /** Its only stream whose frames count. */
  stream: Stream | undefined;
  /** By sequence: those of which the application does not know the end. */
  #queue: Utterance[] = [];
  #playsUntil = 0;
  #startedAt = new Map<Utterance, number>();

  constructor(
    readonly node: string,
    readonly id: string,
    private readonly emit: Emit,
  ) {}

  restore(record: SessionRecord): void {
    ({ epoch: this.epoch, try: this.try, before: this.before, top: this.top, at: this.at } = record);
    for (const [seq, at] of record.cancelled) this.cancelled.set(seq, at);
  }

  save(now: number): void {
    this.at = now;
    const { node, id, epoch, before, top } = this;
    const cancelled = [...this.cancelled];
    this.emit({ kind: "save", change: { kind: "session", node, session: id, epoch, try: this.try, before, cancelled, top, at: now } });
  }

  saveUtterance(utterance: Utterance, now: number): void {
    this.emit({ kind: "save", change: utterance.snapshot(now) });
  }

  /** Whether an `open` is newer than all that was seen. */
  admits(epoch: number, tryNumber: number): boolean {
    return epoch > this.epoch || (epoch === this.epoch && tryNumber > this.try);
  }

  isCancelled(seq: number): boolean {
    return seq < this.before || this.cancelled.has(seq);
  }

  /** Keep a cancel. */
  note(cancel: Cancel, now: number): void {
    if (cancel.epoch > this.epoch || this.try < 0) {
      this.epoch = cancel.epoch;
      this.try = 0;
    }
    this.before = Math.max(this.before, cancel.before ?? 0);
    if (cancel.seq !== undefined) this.cancelled.set(cancel.seq, now);
    this.save(now);
  }

  add(utterance: Utterance): void {
    this.utterances.set(utterance.record.seq, utterance);
    this.top = Math.max(this.top, utterance.record.seq);
    if (utterance.closed || utterance.state === "cancelled") return;
    this.#queue.push(utterance);
    this.#queue.sort((one, other) => one.record.seq - other.record.seq);
  }

  /** The frames of its stream count no more. */
  leave(): void {
    this.stream?.peer.streams.delete(this.stream.s);
    this.stream = undefined;
  }

  /** A higher sequence is opened: what is lower gets no more audio. */
  finishBelow(seq: number, now: number): void {
    for (const utterance of this.#queue) {
      if (utterance.record.seq < seq && utterance.state === "unfinished") this.cutShort(utterance, now);
    }
  }

  /** Its rest does not come. */
  cutShort(utterance: Utterance, now: number): void {
    utterance.finish("failed");
    this.saveUtterance(utterance, now);
    if (this.stream?.utterance === utterance) this.leave();
  }

  /** Give the application what it may have. It has one piece at a time, of the lowest utterance that is not over. */
  pump(now: number): void {
    for (let utterance; (utterance = this.#queue[0]) !== undefined; this.#queue.shift()) {
      if (utterance.state === "cancelled") continue;
      if (utterance.taken < utterance.given) return;
      const at = utterance.given;
      const data = utterance.next();
      if (data !== undefined) {
        if (!this.#startedAt.has(utterance)) this.#startedAt.set(utterance, now);
        this.saveUtterance(utterance, now);
        this.announce(utterance);
        this.emit({ kind: "audio", utterance, at, data });
        return;
      }
      if (utterance.state === "unfinished") return;
      this.#close(utterance, now);
    }
  }

  announce(utterance: Utterance): void {
    if (utterance.announced) return;
    utterance.announced = true;
    this.emit({ kind: "begin", utterance });
  }

  #close(utterance: Utterance, now: number): void {
    utterance.closed = true;
    utterance.speech.end = utterance.status ?? "failed";
    const startedAt = this.#startedAt.get(utterance) ?? now;
    this.#startedAt.delete(utterance);
    if (utterance.ms !== undefined) {
      // The phone plays one utterance after the other: this one begins when the one before it is over.
      utterance.playsUntil = this.#playsUntil = Math.max(this.#playsUntil, startedAt) + utterance.ms;
    }
    this.saveUtterance(utterance, now);
    this.announce(utterance);
    this.emit({ kind: "ended", utterance });
  }

  /** End an utterance by a cancel: nothing of it is given any more, and the phone is to stop. */
  cancel(utterance: Utterance, key: string, now: number): void {
    // As with v1: `complete` stays, when all its audio was given and the phone still plays it.
    if (utterance.speech.end !== "complete") utterance.speech.end = "cancelled";
    utterance.drop(key);
    utterance.closed = false; // until the application has answered
    this.#startedAt.delete(utterance);
    this.#playsUntil = 0;
    this.saveUtterance(utterance, now);
    if (this.stream?.utterance === utterance) this.leave();
  }

  /** Forget what is older than `ageMs`. Returns whether nothing is left of the session. */
  expire(now: number, ageMs: number): boolean {
    for (const [seq, utterance] of this.utterances) {
      const isOpen = utterance.state === "unfinished" || (utterance.state === "whole" && !utterance.closed);
      if (isOpen || now - utterance.at < ageMs) continue;
      if (this.stream?.utterance === utterance) this.leave();
      this.utterances.delete(seq);
      this.emit({ kind: "save", change: { kind: "forget", of: { node: this.node, session: this.id, seq } } });
    }
    for (const [seq, at] of this.cancelled) if (now - at >= ageMs) this.cancelled.delete(seq);
    if (this.utterances.size > 0 || now - this.at < ageMs) return false;
    this.emit({ kind: "save", change: { kind: "forget", of: { node: this.node, session: this.id } } });
    return true;
  }
}
