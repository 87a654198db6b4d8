/** Protocol v2 over WebSockets: one core for all connections, its clock, its store, and the application. */

import type { WebSocket } from "ws";
import type { Listener, Speech } from "../listener.js";
import { Core } from "./core.js";
import type { Effect, Key } from "./effects.js";
import { Executor } from "./executor.js";
import { encodeFrame } from "./messages.js";
import type { Rules } from "./rules.js";
import type { Store } from "./store.js";
import type { Utterance } from "./utterance.js";

export const PROTOCOL = "orastream.v2";

const TICK_MS = 50;
const BAD_FRAME = 1002;
const CANNOT_STORE = 1011;
const MAX_REASON_BYTES = 120;
/** Reading stops while so much waits to be stored. `credit` bounds what one stream has there, and this what all have. */
const MAX_WAITING_BYTES = 16 << 20;
/** A bridge that never reads its acks would fill the memory. */
const MAX_UNREAD_BYTES = 1 << 20;

interface Session {
  readonly core: Core;
  readonly executor: Executor;
}

export class Hub {
  #current: Promise<Session> | undefined;
  /** By the number that the core has given the connection. */
  readonly #sockets = new Map<number, WebSocket>();
  #clock: NodeJS.Timeout | undefined;

  constructor(
    private readonly rules: Rules,
    private readonly store: Store,
    private readonly listener: Listener,
    private readonly log: (message: string) => void,
  ) {}

  /** Load what was stored. Throws if the store cannot be used. */
  async start(): Promise<void> {
    await this.#session();
    this.#clock = setInterval(() => void this.#do((core) => core.tick(now())), TICK_MS);
    this.#clock.unref();
  }

  /** A connection that has selected v2. */
  async connect(socket: WebSocket): Promise<void> {
    // What comes before the store is loaded again waits in the socket.
    socket.pause();
    socket.on("error", (error) => this.log(error.message)); // without a listener a frame that is too large ends the process
    socket.on("ping", (payload) => this.#write(socket, () => socket.pong(payload, false, () => {})));
    let session;
    try {
      session = await this.#session();
    } catch (error) {
      this.log(`cannot load what was stored: ${error}`);
      socket.close(CANNOT_STORE, "cannot store");
      socket.resume();
      return;
    }
    const { core, executor } = session;
    const id = core.connect(now());
    this.#sockets.set(id, socket);
    socket.on("message", (data, isBinary) => {
      if (this.#sockets.get(id) !== socket) return;
      if (isBinary) core.frame(id, data as Buffer, now());
      else core.violate(id, "frames are binary", now());
      executor.push(core.take());
      if (executor.waiting > MAX_WAITING_BYTES) this.#pauseUntilStored(executor);
    });
    socket.on("close", () => {
      if (this.#sockets.get(id) === socket) this.#sockets.delete(id); // after a failed store the numbers begin anew
      core.disconnect(id, now());
      executor.push(core.take());
    });
    executor.push(core.take());
    socket.resume();
  }

  /** The phone has played so much of an utterance. It is reported if the receiver was started with `played`. */
  played(utterance: Readonly<Speech>, ms: number, done = false): void {
    const of: Key = { node: utterance.node!, session: utterance.sessionId, seq: utterance.seq! };
    void this.#do((core) => core.played(of, Math.max(0, Math.floor(ms)), done, now()));
  }

  /** All utterances that are kept. */
  async list(): Promise<Utterance[]> {
    return [...(await this.#session()).core.utterances()];
  }

  sha256(utterance: Utterance): Promise<string> {
    return this.store.sha256(utterance.record, utterance.upto);
  }

  /** Close the connections with `code`, store what has come, and close the store. */
  async close(code: number, reason: string): Promise<void> {
    clearInterval(this.#clock);
    for (const socket of this.#sockets.values()) socket.close(code, reason);
    this.#sockets.clear();
    const executor = (await this.#current?.catch(() => undefined))?.executor;
    await executor?.idle();
    executor?.stop(); // a promise of the application that is settled later must not open the store again
    await this.store.close();
  }

  #session(): Promise<Session> {
    if (this.#current === undefined) {
      const loading = (this.#current = this.#load());
      loading.catch(() => {
        if (this.#current === loading) this.#current = undefined; // the next connection tries again
      });
    }
    return this.#current;
  }

  async #load(): Promise<Session> {
    const saved = await this.store.load();
    const core = new Core(this.rules, (of) => this.store.fileOf(of));
    const executor: Executor = new Executor(this.store, this.listener, {
      send: (effect) => this.#send(effect),
      taken: (utterance) => {
        core.taken(utterance, now());
        executor.push(core.take());
      },
      stopped: (utterance, ms) => {
        core.stopped(utterance, ms, now());
        executor.push(core.take());
      },
      failed: (error) => this.#fail(error),
      complained: (error) => this.log(`the listener failed: ${error}`),
    });
    core.restore(saved, now());
    executor.push(core.take());
    return { core, executor };
  }

  async #do(work: (core: Core) => void): Promise<void> {
    const session = await this.#current?.catch(() => undefined);
    if (session === undefined) return;
    work(session.core);
    session.executor.push(session.core.take());
  }

  #send(effect: Effect & { kind: "send" | "close" }): void {
    const socket = this.#sockets.get(effect.connection);
    if (socket === undefined) return;
    if (effect.kind === "send") {
      this.#write(socket, () => socket.send(encodeFrame(effect.frame)));
    } else {
      this.log(effect.reason);
      this.#sockets.delete(effect.connection);
      socket.resume(); // a socket that is paused never sees the end of the connection
      socket.close(BAD_FRAME, Buffer.from(effect.reason).subarray(0, MAX_REASON_BYTES).toString().replace(/\ufffd/g, ""));
    }
  }

  #write(socket: WebSocket, write: () => void): void {
    if (socket.readyState !== socket.OPEN) return;
    write();
    if (socket.bufferedAmount > MAX_UNREAD_BYTES) socket.terminate();
  }

  /**
   * The store has failed, and the core counts what is not stored: both begin anew from what is stored. The bridges
   * connect again, and send the rest.
   */
  #fail(error: unknown): void {
    this.log(`cannot store: ${error}`);
    this.#current = undefined;
    for (const socket of this.#sockets.values()) {
      socket.resume();
      socket.close(CANNOT_STORE, "cannot store");
    }
    this.#sockets.clear();
  }

  #pauseUntilStored(executor: Executor): void {
    const paused = [...this.#sockets.values()].filter((socket) => !socket.isPaused);
    for (const socket of paused) socket.pause();
    void executor.idle().then(() => {
      for (const socket of paused) if (socket.isPaused) socket.resume();
    });
  }
}

/** Ms since 1970 that never go back while the process runs: a clock that is set must not delay an ack. */
function now(): number {
  return Math.round(performance.timeOrigin + performance.now());
}
