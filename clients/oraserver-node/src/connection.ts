/** One WebSocket connection of a bridge: its frames are handled one after the other, and its pings in their place. */

import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { Gap, Unusable, parseFrame } from "./frames.js";
import type { Line, Lines } from "./lines.js";

/**
 * The largest frame has 700 000 bytes of audio (the highest WEBSOCKET_CHUNK_SIZE), which are 933 336 characters of
 * base64, and 5 000 characters of text (TTS_MAX_TEXT_CHARS), which are up to 30 000 bytes: less than 1 MiB. 4 MiB have
 * room for a text of 500 000 characters. A smaller limit than the frames need makes an utterance undeliverable.
 */
export const MAX_FRAME_BYTES = 4 << 20;

/**
 * Reading stops while this much waits to be stored. A bridge never has so much unconfirmed (512 KiB of audio and a
 * chunk). So the limit only concerns other senders: while nothing is read, Node does not notice that the connection
 * was reset, and cancelled audio would be stored and played.
 */
export const MAX_WAITING_BYTES = 4 << 20;
const FRAME_OVERHEAD_BYTES = 512; // what a waiting frame takes besides its bytes: else empty pings would cost nothing

const MAX_UNREAD_PONG_BYTES = 1 << 20;

/** Close codes: RFC 6455's, and one of our own. A bridge connects again after each of them. */
export const GOING_AWAY = 1001;
const POLICY = 1008;
const NOT_TEXT = 1003;
const CANNOT_STORE = 1011;
const GAP = 4000;

export class Connection {
  #line: Line | undefined;
  #ids = "";
  #dropped = false;
  #waiting = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(
    private readonly socket: WebSocket,
    transport: Duplex,
    private readonly lines: Lines,
    private readonly log: (message: string) => void,
  ) {
    socket.on("message", (data, isBinary) =>
      this.#receive((data as Buffer).length, () => (isBinary ? this.close(NOT_TEXT, "frames are text") : this.#frame(data as Buffer))),
    );
    socket.on("ping", (payload) => this.#receive(payload.length, () => this.#answer(payload)));
    socket.on("error", (error) => this.log(error.message)); // without a listener a frame that is too large ends the process
    // A reset: what waits was cancelled, or comes again. Node reports one that comes together with data as a plain "end".
    transport.on("error", () => this.drop());
    transport.on("end", () => this.drop());
  }

  /** Handle nothing more of this connection, and end it. */
  drop(): void {
    this.#dropped = true;
    this.socket.terminate();
  }

  readonly #gone = () => this.#dropped;

  #receive(bytes: number, handle: () => Promise<void> | void): void {
    const size = bytes + FRAME_OVERHEAD_BYTES;
    this.#waiting += size;
    if (this.#waiting > MAX_WAITING_BYTES) this.socket.pause();
    this.#tail = this.#tail.then(async () => {
      try {
        if (!this.#dropped) await handle();
      } catch (error) {
        this.#fail(error);
      }
      this.#waiting -= size;
      if (this.socket.isPaused && this.#waiting <= MAX_WAITING_BYTES / 2) this.socket.resume();
    });
  }

  async #frame(data: Buffer): Promise<void> {
    const frame = parseFrame(data);
    if (frame.kind === "unknown") return;
    if (frame.kind === "init") return this.#init(frame.sessionId, frame.phoneId);
    const { sessionId, phoneId } = frame.metadata;
    if (this.#line === undefined) throw new Unusable("a frame came before init");
    if (this.#ids !== JSON.stringify([sessionId, phoneId])) throw new Unusable("sessionId or phoneId is not that of init");
    if (frame.kind === "chunk") await this.#line.chunk(frame, this.#gone);
    else if (frame.kind === "complete") await this.#line.complete(frame, this.#gone);
    else await this.#line.ended(frame);
  }

  /** The newer of two connections wins: the older one's unread audio was cancelled, or comes again on this one. */
  #init(sessionId: string, phoneId: string): void {
    if (this.#line !== undefined) throw new Unusable("init came twice");
    this.#line = this.lines.of(sessionId, phoneId);
    this.#ids = JSON.stringify([sessionId, phoneId]);
    this.#line.connection?.drop();
    this.#line.connection = this;
    this.socket.on("close", () => {
      if (this.#line?.connection === this) this.#line.connection = undefined; // else it would be held for as long as the line
    });
  }

  /** The pong says that everything before the ping is stored: so it is the last thing that happens. */
  async #answer(payload: Buffer): Promise<void> {
    await this.#line?.save();
    if (this.#dropped) return;
    this.socket.pong(payload, false, () => {});
    if (this.socket.bufferedAmount > MAX_UNREAD_PONG_BYTES) this.drop(); // a sender that never reads would fill the memory
  }

  #fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.log(message);
    if (error instanceof Gap) this.close(GAP, message);
    else if (error instanceof Unusable) this.close(POLICY, message);
    else this.close(CANNOT_STORE, "cannot store");
  }

  /** Close the connection. No frame after a faulty one is handled: a pong for it would confirm what is not stored. */
  close(code: number, reason: string): void {
    this.#dropped = true;
    this.socket.close(code, reason);
  }
}
