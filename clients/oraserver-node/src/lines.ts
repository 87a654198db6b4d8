/**
 * A line is the path of speech to one phone of one session. Everything that comes for it, over any connection and over
 * HTTP, is handled one after the other: so an old connection never writes into an utterance that a new one continues.
 */

import { Gap, Unusable, type Frame, type Post } from "./frames.js";
import type { Listener } from "./listener.js";
import type { Store, Utterance } from "./store.js";

/** Whether the connection on which something came was reset or replaced: then it is dropped. */
export type Gone = () => boolean;

export class Line {
  /** The newest connection that has sent `init` for this line. */
  connection: { drop(): void } | undefined;
  #playing: Utterance | undefined;
  readonly #unsaved = new Set<Utterance>();
  #tail: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly store: Store,
    private readonly listener: Listener,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** After a restart: the newest utterance. It may go on if it has no end, or has failed. */
  resume(utterance: Utterance): void {
    this.#playing = utterance;
  }

  chunk(frame: Frame & { kind: "chunk" }, gone: Gone): Promise<void> {
    return this.#serial(async () => {
      const { metadata, index, audio } = frame;
      const known = this.store.find(metadata);
      const utterance = known ?? this.store.create(metadata, "websocket", frame.fileName);
      if (index < utterance.chunks) return; // a repeat: the bridge had no confirmation for it
      if (this.#isOver(utterance)) return; // it is not to be played any more
      if (index > utterance.chunks) throw new Gap(`chunk ${index} came after ${utterance.chunks} chunks`);
      if (utterance.end === "complete") throw new Unusable(`chunk ${index} came after complete`);
      await this.store.write(utterance, audio);
      if (gone()) return; // not counted: a cancelled utterance is not played, any other one comes again
      if (known === undefined) this.store.add(utterance);
      this.#begin(utterance);
      if (utterance.end === "failed") Object.assign(utterance, { end: undefined, stopped: false }); // another bridge goes on with it
      utterance.chunks += 1;
      utterance.bytes += audio.length;
      this.#unsaved.add(utterance);
      this.#call(() => this.listener.onAudio?.(utterance, audio, index, metadata));
    });
  }

  complete(frame: Frame & { kind: "complete" }, gone: Gone): Promise<void> {
    return this.#serial(async () => {
      const utterance = this.store.find(frame.metadata);
      const had = utterance?.chunks ?? 0;
      if (utterance !== undefined && this.#isOver(utterance)) return;
      if (utterance === undefined || had !== frame.totalChunks) {
        throw new Gap(`complete says ${frame.totalChunks} chunks, but ${had} came`);
      }
      if (utterance.end === "complete") return; // a repeat
      await this.store.finish(utterance);
      if (gone()) return;
      utterance.end = "complete";
      if (utterance.stopped) utterance.stopped = false; // it had failed: a cancel that comes now stops the phone again
      this.#unsaved.add(utterance);
      this.#call(() => this.listener.onComplete?.(utterance));
    });
  }

  /** The bridge says that an utterance was cancelled or has failed (it does so with WEBSOCKET_END_FRAMES=on). */
  ended(frame: Frame & { kind: "ended" }): Promise<void> {
    return this.#serial(async () => {
      const utterance = this.store.find(frame.metadata);
      if (utterance?.end === "complete") this.#stop(utterance); // it is whole, but the phone still plays it
      else if (utterance !== undefined) this.#interrupt(utterance, frame.status);
    });
  }

  /** Make everything so far survive. A ping is answered after this, a POST too. */
  save(): Promise<void> {
    return this.#serial(async () => {
      for (const utterance of this.#unsaved) {
        await this.store.save(utterance);
        this.#unsaved.delete(utterance); // only now: if it cannot be saved, the next ping must not be answered either
      }
    });
  }

  /** Store a whole file. Does nothing if it is known (the answer to the POST was lost) or `gone`. */
  post(post: Post, gone: Gone): Promise<void> {
    return this.#serial(async () => {
      const known = this.store.find(post.metadata);
      if (known?.end === "complete") return;
      const utterance = this.store.create(post.metadata, "http", post.fileName);
      await this.store.write(utterance, post.audio);
      Object.assign(utterance, { chunks: 1, bytes: post.audio.length });
      await this.store.finish(utterance);
      if (gone()) return; // it was cancelled, or another bridge sends it
      await this.store.save({ ...utterance, end: "complete" });
      this.store.add(utterance);
      this.#begin(utterance);
      this.#call(() => this.listener.onAudio?.(utterance, post.audio, 0, post.metadata));
      utterance.end = "complete";
      this.#call(() => this.listener.onComplete?.(utterance));
      if (known !== undefined) this.#unsaved.delete(known); // the journal's newest line must be that of the whole file
    });
  }

  /** A bridge that takes over may go on with an utterance that has failed, but not once the next one has begun. */
  #isOver(utterance: Utterance): boolean {
    const { end } = utterance;
    return end === "cancelled" || end === "interrupted" || (end === "failed" && this.#playing !== utterance);
  }

  /** A cancelled utterance may have no end of its own: the next one's beginning ends it. */
  #begin(utterance: Utterance): void {
    if (this.#playing !== undefined && this.#playing !== utterance) this.#interrupt(this.#playing, "interrupted");
    this.#playing = utterance;
  }

  #interrupt(utterance: Utterance, end: NonNullable<Utterance["end"]>): void {
    if (utterance.end !== undefined) return;
    utterance.end = end;
    this.#stop(utterance);
  }

  /** Once only: an end frame may come again over another connection. */
  #stop(utterance: Utterance): void {
    if (utterance.stopped) return;
    utterance.stopped = true;
    this.#unsaved.add(utterance);
    this.#call(() => this.listener.onInterrupted?.(utterance));
  }

  /** An exception of the application must not make this server refuse or lose audio that it has stored. */
  #call(listener: () => unknown): void {
    try {
      listener();
    } catch (error) {
      this.failed(error);
    }
  }

  #serial(job: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(job);
    this.#tail = done.catch(() => {});
    return done;
  }
}

export class Lines {
  readonly #lines = new Map<string, Line>();

  constructor(
    private readonly store: Store,
    private readonly listener: Listener,
    private readonly failed: (error: unknown) => void,
  ) {
    for (const utterance of store.all()) this.of(utterance.sessionId, utterance.phoneId).resume(utterance);
  }

  of(sessionId: string, phoneId: string): Line {
    const key = JSON.stringify([sessionId, phoneId]);
    let line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, (line = new Line(this.store, this.listener, this.failed)));
    return line;
  }
}
