/** What the tests use to act as the bridges: WebSocket frames, pings and POSTs over real sockets. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { WebSocket } from "ws";
import { startReceiver, type Options, type Receiver } from "../src/server.js";
import type { Listener } from "../src/listener.js";

export interface Listed {
  sessionId: string;
  phoneId: string;
  requestId: string;
  transport: string;
  chunks: number;
  bytes: number;
  complete: boolean;
  sha256: string;
  file: string;
  end?: string;
}

const DEADLINE_MS = 20_000;
const cleanups: (() => unknown)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** Do this after all tests of the file, the latest first. */
export function later(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

export async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "oraserver-node-"));
  later(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A receiver in this process. Its log lines are in `lines`, so that the test's output stays readable. */
export async function receiver(options: Partial<Options> = {}, listener: Listener = {}): Promise<Receiver> {
  const dataDir = options.dataDir ?? (await folder());
  const started = await startReceiver({ log: () => {}, ...options, dataDir }, listener);
  later(() => started.close().catch(() => {}));
  return started;
}

/** Wait for a condition. Throws after a deadline. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function metadata(session: string, request: string, phone = "p", more: object = {}): object {
  return { sessionId: session, requestId: request, phoneId: phone, text: "안녕", engine: "espeak", language: "ko-KR", ...more };
}

export async function list(url: string, session?: string, headers: Record<string, string> = {}): Promise<Listed[]> {
  const query = session === undefined ? "" : `?session=${encodeURIComponent(session)}`;
  const answer = await fetch(`${url}/received${query}`, { headers });
  if (!answer.ok) throw new Error(`/received: ${answer.status}`);
  return ((await answer.json()) as { utterances: Listed[] }).utterances;
}

export function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return fetch(`${url}/api/tts`, { method: "POST", body: text, headers: { "Content-Type": "application/json", ...headers } });
}

export function file(session: string, request: string, audio: Buffer, phone = "p"): object {
  return { audioDataBase64: audio.toString("base64"), fileName: `${request}.wav`, metadata: metadata(session, request, phone) };
}

/** The header of a streamed WAV, with unknown sizes. */
export function wavHeader(): Buffer {
  const header = Buffer.alloc(44);
  header.write("RIFF\xff\xff\xff\xffWAVEfmt ", 0, "latin1");
  header.write("data\xff\xff\xff\xff", 36, "latin1");
  return header;
}

/** One connection of ws_bridge. */
export class Bridge {
  readonly closed: Promise<{ code: number; reason: string }>;
  isClosed = false;
  #pings = 0;

  private constructor(
    readonly socket: WebSocket,
    private readonly session: string,
    private readonly phone: string,
  ) {
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => {
        this.isClosed = true;
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  static async open(
    url: string,
    session: string,
    phone = "p",
    options: { init?: boolean; headers?: Record<string, string>; path?: string } = {},
  ): Promise<Bridge> {
    const address = url.replace(/^http/, "ws") + (options.path ?? "/ws/tts");
    const socket = new WebSocket(address, { perMessageDeflate: false, headers: options.headers ?? {} });
    later(() => socket.terminate());
    const bridge = new Bridge(socket, session, phone);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve).once("error", reject);
    });
    if (options.init !== false) bridge.send({ type: "init", session_id: session, phone_id: phone });
    return bridge;
  }

  send(frame: object | string | Buffer): void {
    this.socket.send(typeof frame === "string" || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));
  }

  chunk(request: string, index: number, audio: Buffer, more: object = {}): void {
    this.send({
      audioDataBase64: audio.toString("base64"),
      fileName: `${request}.wav`,
      chunkIndex: index,
      isFirst: index === 0,
      metadata: metadata(this.session, request, this.phone, more),
    });
  }

  end(request: string, status: string, totalChunks?: number): void {
    this.send({ status, ...(totalChunks === undefined ? {} : { totalChunks }), metadata: metadata(this.session, request, this.phone) });
  }

  /** Send a ping; resolves when it is answered, with the number of pongs that were open before. Rejects on a close. */
  ping(): Promise<void> {
    const payload = `ping ${++this.#pings}`;
    return new Promise((resolve, reject) => {
      const pong = (data: Buffer) => {
        if (data.toString() !== payload) return;
        this.socket.off("pong", pong);
        resolve();
      };
      this.socket.on("pong", pong);
      void this.closed.then(({ code, reason }) => reject(new Error(`closed: ${code} ${reason}`)));
      this.socket.ping(payload);
    });
  }
}
