/** What comes over HTTP: one utterance for each POST, stored before the answer, and once. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { Bridge, file, folder, list, metadata, post, receiver, until } from "./bridge.js";

const AUDIO = Buffer.from("RIFF and so on ".repeat(500));
const sha256 = (data: Buffer) => createHash("sha256").update(data).digest("hex");

/** Write a request by hand; returns the socket when all of it is in the kernel. `reset`: right after the body. */
async function raw(url: string, head: string, body: string | Buffer = "", reset = false): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write(`POST /api/tts HTTP/1.1\r\nHost: x\r\n${head}\r\n`);
  const written = new Promise((resolve) => socket.write(body, resolve));
  if (reset) socket.resetAndDestroy(); // the kernel has both before the receiver reads
  await written;
  return socket;
}

async function answered(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (data) => (text += data.toString()));
  await until("an answer", () => text.includes("\r\n\r\n"));
  return text.split("\r\n", 1)[0]!;
}

test("a POST is stored, its repeat is dropped, and both are answered with 2xx", async () => {
  const events: unknown[] = [];
  const dataDir = await folder();
  const { url } = await receiver(
    { dataDir },
    {
      onAudio: ({ requestId }, audio, index) => events.push([requestId, audio.length, index]),
      onComplete: ({ requestId, end }) => events.push([requestId, end]),
    },
  );
  const body = { ...file("s", "r", AUDIO), more: 1 };
  for (let round = 0; round < 3; round++) assert.equal((await post(url, body)).status, 200);
  assert.deepEqual(events, [["r", AUDIO.length, 0], ["r", "complete"]]);
  const listed = await list(url, "s");
  assert.equal(listed.length, 1);
  assert.deepEqual([listed[0]!.transport, listed[0]!.chunks, listed[0]!.complete, listed[0]!.sha256], ["http", 1, true, sha256(AUDIO)]);
  const again = await receiver({ dataDir });
  assert.equal((await post(again.url, body)).status, 200);
  assert.deepEqual(await list(again.url), listed);
});

test("a POST ends what was going on, and replaces a part of its own utterance", async () => {
  const events: string[] = [];
  const dataDir = await folder();
  const { url } = await receiver({ dataDir }, { onInterrupted: ({ requestId, transport }) => events.push(`${requestId} ${transport}`) });
  const bridge = await Bridge.open(url, "s");
  bridge.chunk("r1", 0, AUDIO);
  bridge.chunk("r2", 0, AUDIO);
  await bridge.ping();
  assert.equal((await post(url, file("s", "r2", Buffer.concat([AUDIO, AUDIO])))).status, 200);
  await bridge.ping();
  assert.deepEqual(events, ["r1 websocket", "r2 websocket"]);
  const listed = await list(url);
  assert.deepEqual(listed.map(({ requestId, complete, bytes }) => [requestId, complete, bytes]), [
    ["r1", false, AUDIO.length],
    ["r2", true, 2 * AUDIO.length],
  ]);
  assert.deepEqual(await list((await receiver({ dataDir })).url), listed);
});

test("what can never be used is answered with 400", async () => {
  const { url } = await receiver();
  const good = file("s", "r", AUDIO);
  for (const body of [
    "", "{", "null", "[]", '"x"', "[".repeat(100_000),
    { ...good, audioDataBase64: undefined },
    { ...good, audioDataBase64: "QUJ$" },
    { ...good, metadata: { ...metadata("s", "r"), requestId: 1 } },
    { ...good, metadata: metadata("s", "") },
    { ...good, metadata: metadata("s", "\n") },
  ]) {
    const answer = await post(url, body);
    assert.equal(answer.status, 400, JSON.stringify(body).slice(0, 100));
    assert.ok(((await answer.json()) as { error: string }).error);
  }
  const bridge = await Bridge.open(url, "s", "phone 1");
  bridge.chunk("r", 0, AUDIO);
  await bridge.ping();
  assert.equal((await post(url, good)).status, 400, "the utterance belongs to another phone");
});

test("a body above the limit is answered with 413, with a length and without one", async () => {
  const { url } = await receiver();
  const announced = await raw(url, `Content-Length: ${(256 << 20) + 1}\r\n`);
  assert.equal(await answered(announced), "HTTP/1.1 413 Payload Too Large");
  const limit = 1 << 20;
  const small = await receiver({ maxBodyBytes: limit });
  const streamed = await raw(small.url, "Transfer-Encoding: chunked\r\n");
  const answer = answered(streamed);
  const piece = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(1 << 16, "x"), Buffer.from("\r\n")]);
  for (let sent = 0; sent <= 2 * limit; sent += 1 << 16) await new Promise((resolve) => streamed.write(piece, resolve));
  assert.equal(await answer, "HTTP/1.1 413 Payload Too Large");
  await until("the rest is not waited for without end", () => announced.destroyed && streamed.destroyed);
});

test("too many bodies at once are answered with 503, and their room is free afterwards", async () => {
  const { url } = await receiver({ maxBodiesBytes: 1 << 20 });
  const part = Buffer.alloc(400_000, "x");
  const sockets = await Promise.all([1, 2].map(() => raw(url, `Content-Length: ${part.length + 1}\r\n`, part)));
  const third = await raw(url, `Content-Length: ${part.length + 1}\r\n`, part);
  const body = file("s", "r", Buffer.alloc(300_000));
  await until("no room", async () => (await post(url, body)).status === 503);
  for (const socket of [...sockets, third]) socket.resetAndDestroy();
  await until("room again", async () => (await post(url, body)).status === 200);
});

test("a POST whose connection is reset before the answer is not used, at whatever byte", async () => {
  const { url } = await receiver();
  const body = Buffer.from(JSON.stringify(file("s", "reset", Buffer.alloc(300_000, "x"))));
  for (const sent of [1, body.length >> 1, body.length - 1, body.length]) {
    const socket = await raw(url, `Content-Length: ${body.length}\r\n`, body.subarray(0, sent));
    socket.resetAndDestroy();
    assert.equal((await post(url, file("other", `after ${sent}`, AUDIO))).status, 200);
    assert.deepEqual(await list(url, "s"), [], `${sent} of ${body.length} bytes were sent`);
  }
  for (let round = 0; round < 20; round++) {
    const short = Buffer.from(JSON.stringify(file("s", "reset", AUDIO)));
    await raw(url, `Content-Length: ${short.length}\r\n`, short, true);
    assert.equal((await post(url, file("other", `after reset ${round}`, AUDIO))).status, 200);
    assert.deepEqual(await list(url, "s"), [], "the reset came with the body");
  }
  assert.equal((await post(url, body.toString())).status, 200); // and it can come again
  assert.equal((await list(url, "s"))[0]!.bytes, 300_000);
});

test("a POST that cannot be stored is answered with 503", async () => {
  const dataDir = await folder();
  const { url } = await receiver({ dataDir });
  await rm(dataDir, { recursive: true });
  const answer = await post(url, file("s", "r", AUDIO));
  assert.deepEqual([answer.status, await answer.json()], [503, { error: "cannot store" }]);
  assert.deepEqual(await list(url), []);
});
