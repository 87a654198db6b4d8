/** The receiver: an HTTP or HTTPS server with the WebSocket, the POST and the list of what was received. */

import { createHash, timingSafeEqual } from "node:crypto";
import { STATUS_CODES, createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { Connection, GOING_AWAY, MAX_FRAME_BYTES } from "./connection.js";
import { Lines } from "./lines.js";
import type { Listener, Speech } from "./listener.js";
import { MAX_BODIES_BYTES, MAX_BODY_BYTES, PostReader, Refusal } from "./post.js";
import { Store } from "./store.js";
import { DiskStore } from "./v2/disk_store.js";
import { Hub, PROTOCOL } from "./v2/hub.js";
import { RULES, type Rules } from "./v2/rules.js";
import type { Store as StoreV2 } from "./v2/store.js";

export interface Options {
  readonly dataDir: string;
  /** Sync to the disk before anything is confirmed. */
  readonly sync?: boolean;
  readonly token?: string | undefined;
  readonly host?: string;
  /** 0 takes a free port: see `Receiver.url`. */
  readonly port?: number;
  readonly websocketPath?: string;
  readonly httpPath?: string;
  readonly maxBodyBytes?: number;
  readonly maxBodiesBytes?: number;
  /** PEM texts. With them the server speaks https and wss. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  readonly log?: (message: string) => void;
  /** What differs from the defaults of protocol v2; false: it is not selected, and every connection is one of v1. */
  readonly v2?: (Partial<Rules> & { readonly store?: StoreV2 }) | false;
}

const KEEP_ALIVE_MS = 60_000;
const CLOSE_MS = 2_000;

/** Start a receiver; resolves when it listens. Throws if the directory cannot be used or the port is taken. */
export async function startReceiver(options: Options, listener: Listener = {}): Promise<Receiver> {
  const store = await Store.open(options.dataDir, options.sync ?? false);
  const receiver = new Receiver(options, store, listener);
  await receiver.listen();
  return receiver;
}

export class Receiver {
  url = "";
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => this.#select(offered),
    autoPong: false, // the library would confirm what this server has not stored
    perMessageDeflate: false, // base64 of audio does not shrink enough for what it costs, and bridges do not offer it
    maxPayload: MAX_FRAME_BYTES,
  });
  readonly #connections = new Set<Connection>();
  readonly #lines: Lines;
  readonly #posts: PostReader;
  readonly #hub: Hub | undefined;
  readonly #log: (message: string) => void;

  constructor(
    private readonly options: Options,
    private readonly store: Store,
    listener: Listener,
  ) {
    this.#log = options.log ?? ((message) => console.error(message));
    this.#lines = new Lines(store, listener, (error) => this.#log(`the listener failed: ${error}`));
    this.#posts = new PostReader(options.maxBodyBytes ?? MAX_BODY_BYTES, options.maxBodiesBytes ?? MAX_BODIES_BYTES);
    if (options.v2 !== false) {
      const { store: storeV2 = new DiskStore(join(options.dataDir, "v2"), options.sync), ...rules } = options.v2 ?? {};
      this.#hub = new Hub({ ...RULES, ...rules }, storeV2, listener, this.#log);
    }
    const handle = (request: IncomingMessage, response: ServerResponse) => void this.#handle(request, response);
    this.#server = options.tls ? createTlsServer(options.tls, handle) : createServer(handle);
    // A bridge keeps an unused connection for 15 s. Node's 5 s would close it while the next POST is on its way.
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS;
    this.#server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => this.#upgrade(request, socket, head));
  }

  async listen(): Promise<void> {
    await this.#hub?.start();
    const { host = "127.0.0.1", port = 0, tls } = this.options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject).listen(port, host, () => resolve());
    });
    const bound = (this.#server.address() as AddressInfo).port;
    this.url = `${tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${bound}`;
  }

  /** Take nothing new, answer the POSTs that are here, close the WebSockets with 1001, and close the files. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const connection of this.#connections) connection.close(GOING_AWAY, "the server ends");
    const stored = this.#hub?.close(GOING_AWAY, "the server ends");
    const late = setTimeout(() => {
      for (const socket of this.#sockets.clients) socket.terminate(); // one that does not answer would hold up the end
      this.#server.closeAllConnections();
    }, CLOSE_MS);
    await closed;
    clearTimeout(late);
    await stored;
    await this.store.close();
  }

  /** The phone has played `ms` of an utterance of v2; `done`: it plays no more of it. Reported with `v2: { played: true }`. */
  played(utterance: Readonly<Speech>, ms: number, done = false): void {
    if (utterance.transport === "websocket-v2") this.#hub?.played(utterance, ms, done);
  }

  /** v2 by name, since bridges offer v1 first. Else the first one offered, which is what the library selects by itself. */
  #select(offered: Set<string>): string | false {
    if (this.#hub !== undefined && offered.has(PROTOCOL)) return PROTOCOL;
    return [...offered].find((protocol) => protocol !== PROTOCOL) ?? false;
  }

  /** The status and reason of a refusal; undefined for a caller who may use this server. */
  #refusal(request: IncomingMessage): Refusal | undefined {
    const { token } = this.options;
    if (token) {
      const matches = timingSafeEqual(digest(request.headers.authorization ?? ""), digest(`Bearer ${token}`));
      return matches ? undefined : new Refusal(401, "Authorization: Bearer with the token is required");
    }
    // Without a token any web page in a browser of this network could speak here. Bridges send no Origin; browsers do.
    return request.headers.origin === undefined ? undefined : new Refusal(403, "web pages may not use this server");
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => {}); // a reset before the handshake is over would end the process
    let refusal = this.#refusal(request);
    if (path(request) !== (this.options.websocketPath ?? "/ws/tts")) refusal ??= new Refusal(404, "no such path");
    if (refusal === undefined) {
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        // A peer whose machine has gone sends nothing, no FIN either: the kernel asks, so that the socket does not stay.
        request.socket.setKeepAlive(true, KEEP_ALIVE_MS);
        if (webSocket.protocol === PROTOCOL) return void this.#hub?.connect(webSocket);
        const connection = new Connection(webSocket, socket, this.#lines, this.#log);
        this.#connections.add(connection);
        webSocket.on("close", () => this.#connections.delete(connection));
      });
      return;
    }
    // A whole answer, with its length and an end: else the bridge waits until its handshake times out, and tries again.
    const body = JSON.stringify({ error: refusal.message });
    socket.once("finish", () => socket.destroy());
    socket.end(
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const refusal = this.#refusal(request);
      if (refusal !== undefined) throw refusal;
      const route = `${request.method} ${path(request)}`;
      if (route === `POST ${this.options.httpPath ?? "/api/tts"}`) await this.#post(request, response);
      else if (route === "GET /received") answer(response, 200, await this.#received(request));
      else throw new Refusal(404, "no such path");
    } catch (error) {
      if (request.socket.destroyed) return; // nobody reads an answer
      const refusal = Refusal.of(error);
      this.#log(`${request.method} is answered with ${refusal.status}: ${(error as Error).message}`);
      answer(response, refusal.status, { error: refusal.message });
      // Node reads the rest of a body that was refused, so that the sender gets to read the answer; but not for ever.
      setTimeout(() => request.complete || request.destroy(), CLOSE_MS).unref();
    }
  }

  async #post(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const post = await this.#posts.read(request);
    const line = this.#lines.of(post.metadata.sessionId, post.metadata.phoneId);
    await line.post(post, () => request.socket.destroyed);
    await line.save();
    if (!request.socket.destroyed) answer(response, 200, { status: "received" });
  }

  async #received(request: IncomingMessage): Promise<unknown> {
    const session = query(request).get("session");
    const chosen = this.store.all().filter((utterance) => session === null || utterance.sessionId === session);
    const utterances: object[] = [];
    // One after the other: a long list would need more open files than a process may have.
    for (const utterance of chosen) {
      const { end, ...rest } = utterance;
      utterances.push({ ...rest, complete: end === "complete", end, sha256: await this.store.sha256(utterance) });
    }
    for (const utterance of (await this.#hub?.list()) ?? []) {
      if (session !== null && utterance.record.session !== session) continue;
      const { end, ...rest } = utterance.speech;
      utterances.push({ ...rest, complete: end === "complete", end, sha256: await this.#hub!.sha256(utterance) });
    }
    return { utterances };
  }
}

function path(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0]!;
}

function query(request: IncomingMessage): URLSearchParams {
  return new URLSearchParams((request.url ?? "").split("?").slice(1).join("?"));
}

/** Of equal length, which timingSafeEqual needs, and which hides the token's. */
function digest(value: string): Buffer {
  return createHash("sha256").update(value).digest();
}

function answer(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}
