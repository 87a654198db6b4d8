/** v2 over real sockets: which version a connection has, a stalled phone, a store that fails, and how connections end. */

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { decode, encode } from "@msgpack/msgpack";
import { WebSocket } from "ws";
import type { Receiver } from "../../src/server.js";
import type { Change } from "../../src/v2/effects.js";
import { MemoryStore } from "../../src/v2/store.js";
import { Bridge, folder, later, list, receiver, until } from "../bridge.js";
import { EPOCH, SEQ, audio, audioFrame, openFrame } from "./peer.js";

type Map = Record<string, unknown>;

/** A connection of a bridge that has selected v2. */
class Peer {
  readonly frames: Map[] = [];
  readonly closed: Promise<[number, string]>;

  private constructor(readonly socket: WebSocket) {
    socket.on("message", (data) => this.frames.push(decode(data as Buffer) as Map));
    this.closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()])));
  }

  static async open({ url }: Receiver): Promise<Peer> {
    const peer = new Peer(connection(url, ["orastream.v1", "orastream.v2"]));
    await new Promise((resolve, reject) => peer.socket.once("open", resolve).once("error", reject));
    assert.equal(peer.socket.protocol, "orastream.v2");
    await peer.until("hello", ({ t }) => t === "hello");
    peer.send({ t: "hello", version: 2, node: "tts", bridge: "b", software: "s" });
    return peer;
  }

  send(frame: object): void {
    this.socket.send(encode(frame));
  }

  async until(what: string, isIt: (frame: Map) => boolean): Promise<Map> {
    await until(what, () => this.frames.some(isIt));
    return this.frames.find(isIt)!;
  }
}

function connection(url: string, protocols: string[]): WebSocket {
  const socket = new WebSocket(url.replace(/^http/, "ws") + "/ws/tts", protocols, { perMessageDeflate: false });
  later(() => socket.terminate());
  socket.on("error", () => {});
  return socket;
}

test("v2 is selected when it is offered, and else the answer is as before", async () => {
  const both = await receiver();
  const v1 = await receiver({ v2: false });
  for (const [server, offered, selected] of [
    [both, ["orastream.v1", "orastream.v2"], "orastream.v2"],
    [both, ["orastream.v2"], "orastream.v2"],
    [both, ["orastream.v1"], "orastream.v1"],
    [both, [], ""],
    [v1, ["orastream.v1", "orastream.v2"], "orastream.v1"],
    [v1, ["orastream.v1"], "orastream.v1"],
    [v1, [], ""],
  ] as const) {
    const socket = connection(server.url, [...offered]);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    assert.equal(socket.protocol, selected);
  }
  const refused = connection(v1.url, ["orastream.v2"]);
  // The library's client takes an answer without the protocol for an error; a bridge goes on as v1.
  await assert.rejects(new Promise((resolve, reject) => refused.once("open", resolve).once("error", reject)), /no subprotocol/);
});

test("a connection without an offer is one of v1, and leaves nothing of v2", async () => {
  const dataDir = await folder();
  const { url } = await receiver({ dataDir });
  const bridge = await Bridge.open(url, "s");
  bridge.chunk("r", 0, audio(0, 1000));
  bridge.end("r", "complete", 1);
  await bridge.ping();
  assert.deepEqual((await list(url)).map(({ transport, complete }) => [transport, complete]), [["websocket", true]]);
  assert.ok(!(await readdir(dataDir)).includes("v2"));
});

test("an utterance is given to the application, listed, and its reports come back", async () => {
  const events: unknown[] = [];
  const server = await receiver(
    { v2: { played: true } },
    {
      onBegin: (utterance) => events.push(["begin", utterance.requestId, utterance.sampleRate]),
      onSentence: (_, { n, ms, text }) => events.push([n, ms, text]),
      onWords: (_, { n }, words) => events.push([n, words]),
      onAudio: (_, data, at, metadata) => events.push([at, data.length, metadata["language"]]),
      onComplete: (utterance) => {
        events.push(utterance.end);
        server.played(utterance, 1840.7);
        server.played(utterance, 4000, true);
      },
      onInterrupted: () => events.push("interrupted"),
    },
  );
  const peer = await Peer.open(server);
  peer.send(openFrame(7));
  peer.send({ t: "text", s: 7, n: 0, ms: 0, text: "안녕" });
  peer.send({ t: "text", s: 7, n: 0, ms: 0, text: "안녕", words: [[0, 2, 0, 400]] });
  peer.send(audioFrame(7, 0, 1000));
  peer.send({ t: "end", s: 7, status: "complete", size: 1000, ms: 4000 });
  const ack = await peer.until("the last ack", ({ t, size }) => t === "ack" && size === 1000);
  assert.deepEqual([ack["upto"], ack["seen"]], [1000, 6]);
  await peer.until("both reports", ({ t, done }) => t === "played" && done === true);
  assert.deepEqual(peer.frames.filter(({ t }) => t === "played"), [{ t: "played", s: 7, ms: 1840 }, { t: "played", s: 7, ms: 4000, done: true }]);
  assert.deepEqual(events, [["begin", "r.1", 22_050], [0, 0, "안녕"], [0, [[0, 2, 0, 400]]], [0, 1000, "ko-KR"], "complete"]);
  const [listed] = await list(server.url, "cap");
  assert.deepEqual([listed!.transport, listed!.bytes, listed!.complete, listed!.sha256.length], ["websocket-v2", 1000, true, 64]);
  peer.send({ t: "cancel", session: "cap", epoch: EPOCH, before: SEQ + 1 });
  assert.deepEqual((await peer.until("cleared", ({ t }) => t === "cleared"))["utterances"], [], "it was played");
});

test("a stalled phone stalls its own stream; the others go on; and a cancel frees the connection's memory", async () => {
  let release = () => {};
  const got = new Map<string, number>();
  const server = await receiver(
    { v2: { credit: 8192 } },
    {
      onAudio: ({ phoneId }, data) => {
        got.set(phoneId, (got.get(phoneId) ?? 0) + data.length);
        return phoneId === "stalled" ? new Promise<void>((resolve) => (release = resolve)) : undefined;
      },
      onInterrupted: async () => ({ playedMs: 12 }),
    },
  );
  const peer = await Peer.open(server);
  peer.send(openFrame(0, { session: "stalled", phone: "stalled", request: "r.0" }));
  peer.send(openFrame(1, { session: "quick", phone: "quick", request: "r.1", try: 1 }));
  peer.send(audioFrame(0, 0, 100));
  await until("the stalled phone has audio", () => got.has("stalled"));
  peer.send(audioFrame(0, 100, 8192));
  for (let at = 0; at < 100 * 4096; at += 4096) {
    await peer.until("credit", ({ t, s, limit }) => (t === "opened" || t === "ack") && s === 1 && (limit as number) >= at + 4096);
    peer.send(audioFrame(1, at, at + 4096));
  }
  await until("the other phone has all", () => got.get("quick") === 100 * 4096);
  assert.equal(got.get("stalled"), 100);
  const limits = () => peer.frames.filter(({ s, t }) => s === 0 && (t === "ack" || t === "opened")).map(({ limit }) => limit as number);
  assert.equal(Math.max(...limits()), 8192);
  release();
  await until("the rest", () => got.get("stalled") === 8192);
  peer.send({ t: "cancel", session: "stalled", epoch: EPOCH, seq: SEQ });
  const cleared = await peer.until("cleared", ({ t }) => t === "cleared");
  assert.deepEqual(cleared["utterances"], [["r.0", SEQ, 12]]);
});

test("what cannot be stored is not acknowledged and not given, and goes on when it can", async () => {
  class Failing extends MemoryStore {
    fails = false;
    override async commit(changes: readonly Change[]): Promise<void> {
      if (this.fails) throw new Error("the disk is full");
      await super.commit(changes);
    }
  }
  const store = new Failing();
  let heard = Buffer.alloc(0);
  const server = await receiver({ v2: { store } }, { onAudio: (_, data) => void (heard = Buffer.concat([heard, data])) });
  const first = await Peer.open(server);
  first.send(openFrame(0));
  first.send(audioFrame(0, 0, 100));
  await until("the first bytes", () => heard.length === 100);
  store.fails = true;
  first.send(audioFrame(0, 100, 200));
  assert.deepEqual(await first.closed, [1011, "cannot store"]);
  assert.equal(heard.length, 100);
  store.fails = false;
  const second = await Peer.open(server);
  second.send(openFrame(0, { try: 1 }));
  assert.equal((await second.until("opened", ({ t }) => t === "opened"))["upto"], 100);
  second.send(audioFrame(0, 100, 200));
  second.send({ t: "end", s: 0, status: "complete", size: 200, ms: 1 });
  await second.until("the last ack", ({ t, upto }) => t === "ack" && upto === 200);
  await until("the rest", () => heard.length === 200);
  assert.deepEqual(heard, audio(0, 200));
});

test("text frames and broken rules are answered with a fatal error and 1002; the end of the server with 1001", async () => {
  const server = await receiver();
  const text = await Peer.open(server);
  text.socket.send("text");
  assert.deepEqual(await text.closed, [1002, "frames are binary"]);
  assert.deepEqual(text.frames.at(-1), { t: "error", code: "failed", message: "frames are binary", fatal: true });
  const early = await Peer.open(server);
  early.send(audioFrame(3, 0, 1));
  assert.deepEqual(await early.closed, [1002, "stream 3 was never opened"]);
  const last = await Peer.open(server);
  await server.close();
  assert.equal((await last.closed)[0], 1001);
});

test("a closed receiver stores nothing more, although a phone takes its audio later", async () => {
  class Closing extends MemoryStore {
    isClosed = false;
    late = 0;
    override async commit(changes: readonly Change[]): Promise<void> {
      if (this.isClosed) this.late += 1;
      await super.commit(changes);
    }
    override async close(): Promise<void> {
      this.isClosed = true;
    }
  }
  const store = new Closing();
  let release: (() => void) | undefined;
  const server = await receiver({ v2: { store } }, { onAudio: () => new Promise<void>((resolve) => (release = resolve)) });
  const peer = await Peer.open(server);
  peer.send(openFrame(0));
  peer.send(audioFrame(0, 0, 100));
  await until("the phone has audio", () => release !== undefined);
  peer.send(audioFrame(0, 100, 200));
  await peer.until("ack", ({ t, upto }) => t === "ack" && upto === 200);
  await server.close();
  release!();
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([store.isClosed, store.late], [true, 0]);
});

test("an application that throws does not end the connection", async () => {
  const lines: string[] = [];
  const server = await receiver(
    { log: (line) => lines.push(line) },
    {
      onBegin: () => {
        throw new Error("begin");
      },
      onAudio: async () => {
        throw new Error("audio");
      },
    },
  );
  const peer = await Peer.open(server);
  peer.send(openFrame(0));
  peer.send(audioFrame(0, 0, 100));
  peer.send({ t: "end", s: 0, status: "failed", size: 100, ms: 1 });
  await peer.until("the last ack", ({ t, size }) => t === "ack" && size === 100);
  await until("both are in the log", () => lines.length === 2);
  await until("it has failed", async () => (await list(server.url))[0]!.end === "failed");
});
