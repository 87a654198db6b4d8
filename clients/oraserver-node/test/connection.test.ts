/** What comes over WebSocket: stored once and in order, confirmed when it is stored, and faults close the connection. */

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { appendFile, readFile, readdir, rm, unlink, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { Bridge, folder, later, list, metadata, receiver, until, wavHeader } from "./bridge.js";

const A = Buffer.from("a".repeat(1000));
const B = Buffer.from("b".repeat(3000));
const sha256 = (data: Buffer) => createHash("sha256").update(data).digest("hex");

test("chunks become a file with true sizes, and repeats are dropped", async () => {
  const events: unknown[] = [];
  const { url } = await receiver(
    {},
    {
      onAudio: (utterance, audio, index, of) => events.push([utterance.requestId, audio.length, index, of["sampleRate"]]),
      onComplete: (utterance) => events.push(utterance.requestId),
    },
  );
  const bridge = await Bridge.open(url, "s");
  bridge.chunk("r", 0, wavHeader(), { sampleRate: 16_000 });
  bridge.chunk("r", 1, A, { sampleRate: 16_000 });
  bridge.chunk("r", 0, wavHeader(), { sampleRate: 16_000 });
  bridge.chunk("r", 1, A);
  bridge.send({ type: "a frame of a later version" });
  bridge.send({ status: "a status of a later version", metadata: 1 });
  bridge.end("r", "complete", 2);
  bridge.end("r", "complete", 2);
  bridge.chunk("r", 1, A);
  await bridge.ping();
  const [utterance] = await list(url, "s");
  const header = wavHeader();
  header.writeUInt32LE(1036, 4);
  header.writeUInt32LE(1000, 40);
  assert.deepEqual(
    { ...utterance, file: "" },
    {
      sessionId: "s", phoneId: "p", requestId: "r", transport: "websocket", file: "",
      chunks: 2, bytes: 1044, complete: true, end: "complete", sha256: sha256(Buffer.concat([header, A])),
    },
  );
  assert.deepEqual(events, [["r", 44, 0, 16_000], ["r", 1000, 1, 16_000], "r"]);
});

test("each ping is answered in its place, when what came before it is in the journal", async () => {
  const dataDir = await folder();
  const { url } = await receiver({ dataDir });
  const bridge = await Bridge.open(url, "s");
  const answered: number[] = [];
  const journaled: number[] = [];
  bridge.socket.on("pong", (payload) => {
    const lines = readFileSync(join(dataDir, "journal.jsonl"), "utf8").trimEnd().split("\n");
    answered.push(Number(payload.toString()));
    journaled.push((JSON.parse(lines.at(-1)!) as { chunks: number }).chunks);
  });
  const total = 60;
  for (let index = 0; index < total; index++) {
    bridge.chunk("r", index, Buffer.alloc(20_000, index));
    bridge.socket.ping(String(index));
  }
  await until("all pongs", () => answered.length === total);
  assert.deepEqual(answered, [...Array(total).keys()]);
  journaled.forEach((chunks, index) => assert.ok(chunks > index, `ping ${index}: only ${chunks} chunks in the journal`));
});

test("while storing lags nothing is confirmed and reading stops; what cannot be stored is refused, and comes again", async () => {
  const dataDir = await folder();
  const { url } = await receiver({ dataDir });
  const first = await Bridge.open(url, "s");
  first.chunk("r", 0, A);
  await first.ping();
  const [{ file } = { file: "" }] = await list(url, "s");
  // Opening a FIFO blocks until somebody reads it: the disk that does not answer. Then writing at a position fails.
  await unlink(join(dataDir, file));
  const fifo = join(dataDir, file);
  execFileSync("mkfifo", [fifo]);
  const unblock = () => spawnSync("dd", [`if=${fifo}`, "of=/dev/null", "iflag=nonblock", "count=0"]);
  later(unblock); // if this test fails: Node cannot end while a thread is blocked
  const big = Buffer.alloc(600_000, "x");
  const chunks = 60;
  let pongs = 0;
  first.socket.on("pong", () => pongs++);
  for (let index = 1; index <= chunks; index++) first.chunk("r", index, big);
  first.socket.ping("late");
  const other = await Bridge.open(url, "other");
  for (let round = 0; round < 2000; round++) await other.ping(); // time in which a receiver without a bound reads it all
  assert.ok(first.socket.bufferedAmount > 0, "all 48 MB were read, although nothing could be stored");
  assert.equal(pongs, 0);

  unblock();
  assert.deepEqual(await first.closed, { code: 1011, reason: "cannot store" });
  assert.equal(pongs, 0);
  await unlink(fifo);
  await writeFile(fifo, A);
  const second = await Bridge.open(url, "s");
  for (let index = 1; index <= chunks; index++) second.chunk("r", index, big);
  second.end("r", "complete", chunks + 1);
  await second.ping();
  const [stored] = await list(url, "s");
  assert.equal(stored!.sha256, sha256(Buffer.concat([A, ...Array<Buffer>(chunks).fill(big)])));
});

test("a missing chunk closes the connection, before any later ping is answered", async () => {
  const { url } = await receiver();
  for (const send of [
    (bridge: Bridge) => bridge.chunk("r", 2, B),
    (bridge: Bridge) => bridge.end("r", "complete", 2),
    (bridge: Bridge) => bridge.end("unknown", "complete", 1),
    (bridge: Bridge) => bridge.chunk("unknown", 1, B),
  ]) {
    const bridge = await Bridge.open(url, "s");
    bridge.chunk("r", 0, A);
    send(bridge);
    const ping = bridge.ping();
    await assert.rejects(ping, /closed: 4000/);
  }
  assert.deepEqual((await list(url)).map((utterance) => [utterance.requestId, utterance.chunks]), [["r", 1]]);
});

test("frames that can never be used close the connection with 1008", async () => {
  const { url } = await receiver();
  const chunk = { audioDataBase64: "QUJD", fileName: "r.wav", chunkIndex: 0, isFirst: true, metadata: metadata("s", "r") };
  for (const [frame, reason] of [
    ["{", "this is not JSON"],
    ["[]", "this must be a JSON object"],
    ["[".repeat(100_000), "this is not JSON"],
    [{ type: "init", session_id: "s", phone_id: "p" }, "init came twice"],
    [{ ...chunk, audioDataBase64: "QUJ$" }, "audioDataBase64 has characters that are not base64"],
    [{ ...chunk, audioDataBase64: "QUJ" }, "audioDataBase64 must be padded base64, and not empty"],
    [{ ...chunk, audioDataBase64: "" }, "audioDataBase64 must be padded base64, and not empty"],
    [{ ...chunk, chunkIndex: -1 }, "chunkIndex must be an integer from 0"],
    [{ ...chunk, metadata: null }, "metadata must be a JSON object"],
    [{ ...chunk, metadata: metadata("other", "r") }, "sessionId or phoneId is not that of init"],
    [{ ...chunk, metadata: metadata("s", "r", "other") }, "sessionId or phoneId is not that of init"],
    [{ ...chunk, metadata: metadata("s", "a\u0000b") }, "requestId must be 1 to 256 bytes of UTF-8 without control characters"],
    [{ ...chunk, metadata: metadata("s", "\ud800") }, "requestId must be 1 to 256 bytes of UTF-8 without control characters"],
    [{ ...chunk, metadata: metadata("s", "한".repeat(86)) }, "requestId must be 1 to 256 bytes of UTF-8 without control characters"],
  ] as const) {
    const bridge = await Bridge.open(url, "s");
    bridge.send(frame);
    assert.deepEqual(await bridge.closed, { code: 1008, reason }, JSON.stringify(frame).slice(0, 100));
  }
  const early = await Bridge.open(url, "s", "p", { init: false });
  early.send(chunk);
  assert.deepEqual(await early.closed, { code: 1008, reason: "a frame came before init" });
  const binary = await Bridge.open(url, "s");
  binary.send(Buffer.from("{}"));
  assert.equal((await binary.closed).code, 1003);
  const large = await Bridge.open(url, "s");
  large.send("x".repeat((4 << 20) + 1));
  assert.equal((await large.closed).code, 1009);
  assert.deepEqual(await list(url), []);
});

test("the largest frame of a bridge fits", async () => {
  const { url } = await receiver();
  const bridge = await Bridge.open(url, "s");
  bridge.chunk("r", 0, Buffer.alloc(700_000, 1), { text: "\u0001".repeat(5000) });
  await bridge.ping();
  assert.equal((await list(url, "s"))[0]!.bytes, 700_000);
});

test("an utterance goes on over another connection, and the newer one ends the older one", async () => {
  const dataDir = await folder();
  const { url } = await receiver({ dataDir });
  const older = await Bridge.open(url, "s");
  older.chunk("r", 0, A);
  await older.ping();
  const [{ file } = { file: "" }] = await list(url, "s");
  await appendFile(join(dataDir, file), Buffer.alloc(10_000)); // what a process wrote that was killed before it was confirmed
  const phone2 = await Bridge.open(url, "s", "p2");
  await phone2.ping();
  assert.equal(older.isClosed, false, "a connection of another phone has ended this one");
  const newer = await Bridge.open(url, "s");
  newer.chunk("r", 0, A);
  newer.chunk("r", 1, B);
  newer.end("r", "complete", 2);
  await newer.ping();
  assert.equal((await older.closed).code, 1006);
  const [utterance] = await list(url, "s");
  assert.equal(utterance!.sha256, sha256(Buffer.concat([A, B])));
  assert.deepEqual(await readFile(join(dataDir, file)), Buffer.concat([A, B]));
});

test("what waits of an older connection is dropped when a newer one begins", async () => {
  const heard: string[] = [];
  const { url } = await receiver({}, { onAudio: (utterance, _audio, index) => heard.push(`${utterance.requestId}.${index}`) });
  const older = await Bridge.open(url, "s");
  await older.ping();
  const newer = await Bridge.open(url, "s", "p", { init: false });
  const init = JSON.stringify({ type: "init", session_id: "s", phone_id: "p" });
  for (let index = 0; index < 500; index++) older.chunk("cancelled", index, A);
  newer.send(init);
  newer.chunk("next", 0, B);
  await newer.ping();
  await older.closed;
  const last = heard.lastIndexOf("next.0");
  assert.equal(last, heard.length - 1, "audio of the older connection came after the newer one's");
  const [cancelled] = await list(url, "s");
  assert.equal(cancelled?.requestId === "cancelled" ? cancelled.chunks : 0, last);
});

test("what waits of a connection that was reset is dropped", async () => {
  const { url } = await receiver();
  const bridge = await Bridge.open(url, "s");
  bridge.chunk("r", 0, A);
  await bridge.ping();
  const total = 300;
  for (let index = 1; index <= total; index++) bridge.chunk("r", index, A);
  const transport = (bridge.socket as unknown as { _socket: Socket })._socket;
  await until("all is written to the kernel", () => bridge.socket.bufferedAmount === 0);
  transport.resetAndDestroy();
  const other = await Bridge.open(url, "other");
  for (let round = 0; round < 200; round++) await other.ping();
  const [utterance] = await list(url, "s");
  assert.ok(utterance!.chunks < total, `${utterance!.chunks} chunks of a reset connection were stored`);
});

test("a chunk with which a reset comes is neither counted nor played", async () => {
  const heard: string[] = [];
  const { url } = await receiver({}, { onAudio: ({ requestId }) => heard.push(requestId) });
  for (let round = 0; round < 20; round++) {
    const bridge = await Bridge.open(url, "s");
    await bridge.ping();
    bridge.chunk(`cancelled ${round}`, 0, A);
    (bridge.socket as unknown as { _socket: Socket })._socket.resetAndDestroy(); // the kernel has both before they are read
    const next = await Bridge.open(url, "s");
    next.chunk(`next ${round}`, 0, B);
    await next.ping();
  }
  assert.deepEqual(heard, [...Array(20).keys()].map((round) => `next ${round}`));
});

test("a next utterance interrupts one without an end, and so do the frames cancelled and failed", async () => {
  const events: string[] = [];
  const dataDir = await folder();
  const { url } = await receiver(
    { dataDir },
    {
      onAudio: ({ requestId }, _audio, index) => events.push(`${requestId}.${index}`),
      onInterrupted: ({ requestId, end }) => events.push(`${requestId} ${end}`),
    },
  );
  const bridge = await Bridge.open(url, "s");
  bridge.chunk("r1", 0, A);
  bridge.chunk("r2", 0, A);
  bridge.chunk("r1", 1, A); // of an owner that has lost the session: not to be played any more
  bridge.end("r1", "complete", 2);
  bridge.end("r2", "cancelled");
  bridge.chunk("r3", 0, A);
  bridge.end("r3", "failed");
  bridge.chunk("r3", 1, A); // of a bridge that took over, and could go on
  bridge.end("r3", "failed");
  bridge.end("never came", "failed");
  bridge.chunk("r4", 0, A);
  bridge.chunk("r3", 2, A); // too late: the next one has begun
  bridge.end("r4", "complete", 1);
  bridge.end("r4", "cancelled"); // the phone still plays it
  bridge.end("r4", "cancelled"); // and again, over another connection
  bridge.chunk("r5", 0, A);
  await bridge.ping();
  assert.deepEqual(events, [
    ...["r1.0", "r1 interrupted", "r2.0", "r2 cancelled", "r3.0", "r3 failed", "r3.1", "r3 failed", "r4.0", "r4 complete", "r5.0"],
  ]);
  const ends = (await list(url)).map(({ requestId, end, complete }) => [requestId, end, complete]);
  const expected = [["r1", "interrupted", false], ["r2", "cancelled", false], ["r3", "failed", false], ["r4", "complete", true], ["r5", undefined, false]];
  assert.deepEqual(ends, expected);

  events.length = 0; // after a restart the next utterance interrupts what was going on
  const again = await receiver({ dataDir }, { onInterrupted: ({ requestId, end }) => events.push(`${requestId} ${end}`) });
  const next = await Bridge.open(again.url, "s");
  next.chunk("r6", 0, A);
  await next.ping();
  assert.deepEqual(events, ["r5 interrupted"]);
});

test("an utterance that has failed goes on after a restart, and is stopped once more when it is cancelled", async () => {
  const dataDir = await folder();
  const before = await Bridge.open((await receiver({ dataDir })).url, "s");
  for (const request of ["earlier", "r"]) {
    before.chunk(request, 0, A);
    before.end(request, "failed");
  }
  await before.ping();
  const events: string[] = [];
  const again = await receiver({ dataDir }, { onInterrupted: ({ requestId, end }) => events.push(`${requestId} ${end}`) });
  const other = await Bridge.open(again.url, "s"); // another bridge could deliver it
  other.chunk("earlier", 1, B); // too late
  other.chunk("r", 1, B);
  other.end("r", "failed");
  other.end("r", "complete", 2);
  other.end("r", "cancelled"); // while the phone plays it
  await other.ping();
  const ends = (await list(again.url)).map(({ requestId, chunks, end }) => [requestId, chunks, end]);
  assert.deepEqual(ends, [["earlier", 1, "failed"], ["r", 2, "complete"]], "the pong has confirmed both chunks");
  assert.deepEqual(events, ["r failed", "r complete"]);
});

test("a listener that throws loses no audio", async () => {
  const { url } = await receiver({}, { onAudio: () => assert.fail("the application has a fault") });
  const bridge = await Bridge.open(url, "s");
  bridge.chunk("r", 0, A);
  bridge.end("r", "complete", 1);
  await bridge.ping();
  assert.equal((await list(url, "s"))[0]!.complete, true);
});

test("a directory that has gone confirms nothing", async () => {
  const dataDir = await folder();
  const { url } = await receiver({ dataDir });
  await rm(dataDir, { recursive: true });
  const bridge = await Bridge.open(url, "s");
  bridge.chunk("r", 0, A);
  await assert.rejects(bridge.ping(), /closed: 1011 cannot store/);
});

test("hostile ids become names of files in the directory", async () => {
  const dataDir = await folder();
  const { url } = await receiver({ dataDir });
  const ids = ["../../etc/passwd", "..", ".", "/", "a/b", "x".repeat(256), "한글".repeat(42), "CON", "journal.jsonl", "a\u2028b", '{"chunks":9}'];
  const bridge = await Bridge.open(url, "../s");
  for (const id of ids) {
    bridge.chunk(id, 0, Buffer.from(id));
    bridge.end(id, "complete", 1);
  }
  await bridge.ping();
  const listed = await list(url, "../s");
  assert.deepEqual(listed.map(({ requestId }) => requestId), ids);
  const names = await readdir(dataDir);
  assert.deepEqual(names.sort(), [...listed.map(({ file }) => file), "journal.jsonl"].sort());
  for (const { file, requestId } of listed) {
    assert.match(file, /^[A-Za-z0-9_-]{33,73}\.wav$/);
    assert.equal(await readFile(join(dataDir, file), "utf8"), requestId);
  }
  const again = await receiver({ dataDir });
  assert.deepEqual(await list(again.url), listed, "the journal has lost ids");
});
