/** The rules of protocol v2, one by one. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { CLEARED_MS } from "../../src/v2/cancels.js";
import { KEEP_RECORDS_MS } from "../../src/v2/sessions.js";
import { EPOCH, SEQ, World, audio, audioFrame, openFrame } from "./peer.js";

const end = (s: number, size: number, more: object = {}) => ({ t: "end", s, status: "complete", size, ms: 1000, ...more });
const cancel = (more: object = {}) => ({ t: "cancel", session: "cap", epoch: EPOCH, ...more });

test("hello is the first frame, and the bridge's comes once and first", () => {
  const world = new World({ crc: true, played: true }, false);
  const connection = world.core.connect(world.now);
  assert.deepEqual(world.frames(), [
    { t: "hello", version: 2, credit: 4096, streams: 100, formats: ["wav"], keep_ms: 60_000, crc: true, played: true },
  ]);
  assert.deepEqual(world.send(openFrame(1), connection), [{ t: "error", code: "failed", message: "hello must come once, and first", fatal: true }]);
  for (const version of [1, 3]) {
    const other = new World({}, false);
    assert.match(JSON.stringify(other.send({ t: "hello", version, node: "n", bridge: "b", software: "s" })), /version must be 2/);
  }
  const twice = new World();
  twice.hello();
  assert.deepEqual(twice.events, ["close hello must come once, and first"]);
  const late = new World({}, false);
  assert.deepEqual(late.pass(4_999), []);
  late.pass(1);
  assert.deepEqual(late.events, ["close no hello within 5 s"]);
});

test("an utterance comes whole, and its report is delivered", () => {
  const world = new World();
  assert.deepEqual(world.send(openFrame(7)), [
    { t: "opened", s: 7, upto: 0, limit: 4096, ranges: undefined, size: undefined, played: undefined },
  ]);
  assert.deepEqual(world.send({ t: "text", s: 7, n: 0, ms: 0, text: "안녕" }), []);
  assert.deepEqual(world.send(audioFrame(7, 0, 500)).map(({ t }) => t), ["ack"], "the first audio");
  assert.deepEqual(world.send(audioFrame(7, 500, 1000)), []);
  const [ack, ...more] = world.send(end(7, 1000));
  assert.deepEqual(ack, { t: "ack", s: 7, upto: 1000, limit: 5096, seen: 6, ranges: undefined, size: 1000 });
  assert.deepEqual(more, []);
  assert.deepEqual(world.events, ["begin r.1", "complete r.1"]);
  assert.deepEqual(world.heard.get("r.1"), audio(0, 1000));
  assert.deepEqual(world.pass(10_000), [], "it is not unfinished any more");
});

test("acks: the first audio, 250 ms, 64 KiB, a gap, its filling, the end, 2 s, and a quarter of credit", () => {
  const world = new World({ credit: 1 << 20 });
  world.send(openFrame(1));
  world.stalled = true; // limits do not rise
  world.send(openFrame(2, { session: "gown", request: "r.2", seq: SEQ + 1 }));
  world.now += 10 - (world.now % 250);
  assert.deepEqual(world.send(audioFrame(1, 0, 10)).map(({ t }) => t), ["ack"], "the first audio");
  assert.deepEqual(world.send(audioFrame(1, 10, 20)), []);
  world.now += 200;
  assert.deepEqual(world.send(audioFrame(2, 0, 10)).map(({ t }) => t), ["ack"], "the first audio of its stream");
  assert.deepEqual(world.send(audioFrame(2, 10, 20)), []);
  assert.deepEqual(world.pass(39), []);
  const together = world.pass(1).map((frame) => frame.t === "ack" && [frame.s, frame.upto]);
  assert.deepEqual(together, [[1, 20], [2, 20]], "both within 250 ms, together");
  assert.deepEqual(world.pass(1_999), []);
  assert.deepEqual(world.pass(1).map(({ t }) => t), ["ack", "ack"], "every 2 s");
  let at = 20;
  let acks = 0;
  for (; at < 20 + 256 * 1024; at += 1024) acks += world.send(audioFrame(1, at, at + 1024)).length;
  assert.equal(acks, 4);
  const gap = world.send(audioFrame(1, at + 100, at + 200));
  assert.deepEqual(gap.map((frame) => frame.t === "ack" && [frame.upto, frame.ranges]), [[at, [[at + 100, at + 200]]]]);
  assert.deepEqual(world.send(audioFrame(1, at + 200, at + 300)), [], "the gap is known");
  const filled = world.send(audioFrame(1, at, at + 100));
  assert.deepEqual(filled.map((frame) => frame.t === "ack" && [frame.upto, frame.ranges]), [[at + 300, undefined]]);
  assert.equal(world.send(end(1, at + 400)).length, 1);
  assert.equal(world.send(end(1, at + 400)).length, 1);
  assert.deepEqual(world.events, ["begin r.1", "begin r.2"]);
});

test("credit follows the application, and an ack goes at once when the limit has risen by a quarter of it", () => {
  const world = new World();
  world.stalled = true;
  world.send(openFrame(1));
  world.send(openFrame(2, { session: "other", request: "r.2" }));
  world.send(audioFrame(1, 0, 1023));
  world.send(audioFrame(1, 1023, 4096));
  assert.match(JSON.stringify(world.pass(2_000)), /"limit":4096/);
  const [utterance] = [...world.core.utterances()];
  world.core.taken(utterance!, world.now); // the first 1023 bytes: less than a quarter
  assert.deepEqual(world.frames(), []);
  world.core.taken(utterance!, world.now);
  assert.match(JSON.stringify(world.frames()), /"t":"ack","s":1,"upto":4096,"limit":8192/);
  assert.deepEqual(world.heard.get("r.1"), audio(0, 4096));
  world.stalled = false;
  world.send(audioFrame(2, 0, 4096)); // its phone has never stalled
  assert.equal(world.heard.get("r.2")!.length, 4096);
});

test("a damaged frame is dropped, and the ack says at once that it was read", () => {
  const world = new World({ crc: true });
  world.send(openFrame(1));
  const acks = world.send(audioFrame(1, 0, 10, { crc: 1 }));
  assert.deepEqual(acks.map((frame) => frame.t === "ack" && [frame.upto, frame.seen]), [[0, 3]]);
  world.send(audioFrame(1, 0, 10));
  assert.deepEqual(world.heard.get("r.1"), audio(0, 10));
  world.send(audioFrame(1, 10, 20, { crc: undefined }));
  assert.deepEqual(world.events, ["begin r.1", "close crc is missing"]);
});

test("a broken connection: the utterance goes on from what is stored, also over another connection", () => {
  const world = new World();
  world.send(openFrame(1));
  world.send(audioFrame(1, 0, 100));
  world.send(audioFrame(1, 200, 300));
  world.core.disconnect(world.connection, world.now);
  world.pass(30_000);
  world.reconnect();
  const [opened] = world.send(openFrame(1, { try: 2 }));
  assert.deepEqual(opened, { t: "opened", s: 1, upto: 100, limit: 4196, ranges: [[200, 300]], size: undefined, played: undefined });
  world.send(audioFrame(1, 50, 250));
  world.send(end(1, 300));
  assert.deepEqual(world.heard.get("r.1"), audio(0, 300));
  assert.deepEqual(world.events, ["begin r.1", "complete r.1"]);
  const again = world.send(openFrame(2, { try: 3 }));
  assert.deepEqual(again.map((frame) => [frame.t, "upto" in frame && frame.upto, "size" in frame && frame.size]), [["opened", 300, 300], ["ack", 300, 300]]);
  world.send(audioFrame(2, 0, 100));
  assert.deepEqual(world.events, ["begin r.1", "complete r.1"]);
});

test("an unfinished utterance without a connection ends with what has come, after keep_ms", () => {
  const world = new World();
  world.send(openFrame(1));
  world.send(audioFrame(1, 0, 100));
  world.core.disconnect(world.connection, world.now);
  for (let waited = 0; waited < 55_000; waited += 5_000) world.pass(5_000);
  assert.deepEqual(world.events, ["begin r.1"]);
  for (let waited = 0; waited < 20_000; waited += 5_000) world.pass(5_000);
  assert.deepEqual(world.events, ["begin r.1", "failed r.1"]);
});

test("the fence: what is not higher is refused, and a newer stream supersedes the one before it", () => {
  const world = new World();
  world.send(openFrame(1, { try: 5 }));
  const first = world.connection;
  world.send(audioFrame(1, 0, 100), first);
  world.reconnect();
  for (const [s, fence] of [{ try: 5 }, { try: 4 }, { epoch: EPOCH - 1, try: 9 }].entries()) {
    const [refusal] = world.send(openFrame(s, fence));
    assert.equal(refusal?.t === "error" && refusal.code, "stale_epoch");
  }
  world.send(openFrame(1000, { epoch: EPOCH + 1, try: 0 }));
  assert.deepEqual(world.send(audioFrame(1, 100, 200), first), [], "superseded: ignored");
  world.send(audioFrame(1000, 100, 150));
  assert.equal(world.heard.get("r.1")!.length, 150);
  const [stale] = world.send(cancel({ before: SEQ + 1 }), first);
  assert.deepEqual(stale, { t: "error", code: "stale_epoch", message: `session cap has had epoch ${EPOCH + 1}`, session: "cap" });
  world.reconnect("another node");
  assert.equal(world.send(openFrame(1, { try: 1 }))[0]!.t, "opened", "epochs of another node are not comparable");
});

test("a refused open raises the fence: the bridge before it cannot write any more", () => {
  const world = new World({ streams: 1 });
  world.send(openFrame(1, { session: "x", request: "r.x" }));
  const first = world.connection;
  world.reconnect();
  world.send(openFrame(1, { session: "y", request: "r.y" }));
  const [busy] = world.send(openFrame(2, { session: "x", request: "r.x", try: 2 }));
  assert.equal(busy?.t === "error" && busy.code, "busy");
  const kept = world.saved.at(-1);
  assert.deepEqual(kept?.kind === "session" && [kept.session, kept.epoch, kept.try], ["x", EPOCH, 2], "also across a restart");
  assert.deepEqual(world.send(audioFrame(1, 0, 10), first), []);
  assert.equal(world.heard.get("r.x"), undefined);
  assert.deepEqual(world.send(audioFrame(2, 0, 10)), [], "of a refused stream: ignored");
  assert.equal(world.heard.get("r.x"), undefined);
});

test("a cancel ends what is unfinished or not played, and is answered when the phone is silent", () => {
  const world = new World({ played: true });
  world.send(openFrame(1));
  world.send(audioFrame(1, 0, 100));
  world.send(end(1, 100));
  world.core.played({ node: "tts", session: "cap", seq: SEQ }, 500, false, world.now);
  assert.deepEqual(world.frames(), [{ t: "played", s: 1, ms: 500, done: undefined }]);
  world.send(openFrame(2, { seq: SEQ + 1, request: "r.2" }));
  world.send(audioFrame(2, 0, 100));
  assert.deepEqual(world.send(cancel({ before: SEQ + 2 })), [], "the phone plays");
  const [first, second] = [...world.core.utterances()];
  world.core.stopped(first!, 700, world.now);
  assert.deepEqual(world.frames(), []);
  world.core.stopped(second!, undefined, world.now);
  const cleared = { t: "cleared", session: "cap", utterances: [["r.1", SEQ, 700], ["r.2", SEQ + 1, 0]], before: SEQ + 2, seq: undefined };
  assert.deepEqual(world.frames(), [cleared]);
  assert.deepEqual(world.send(cancel({ before: SEQ + 2 })), [cleared], "the same again has the same answer");
  assert.deepEqual(world.send(audioFrame(2, 100, 200)), []);
  assert.equal(world.heard.get("r.2")!.length, 100);
  assert.deepEqual(world.events, ["begin r.1", "complete r.1", "begin r.2", "stop r.1", "stop r.2"]);
  for (const [s, seq] of [[3, SEQ], [4, SEQ + 1]] as const) {
    const [refusal] = world.send(openFrame(s, { seq, request: "r.1" }));
    assert.equal(refusal?.t === "error" && refusal.code, "cancelled");
  }
  assert.equal(world.send(openFrame(5, { seq: SEQ + 2, request: "r.3" }))[0]!.t, "opened");
});

test("a cancel of what is unknown or played ends nothing, and an open that it covers is refused", () => {
  const world = new World();
  assert.deepEqual(world.send(cancel({ seq: SEQ })), [{ t: "cleared", session: "cap", utterances: [], before: undefined, seq: SEQ }]);
  const [refusal] = world.send(openFrame(1));
  assert.equal(refusal?.t === "error" && refusal.code, "cancelled");
  world.send(openFrame(2, { seq: SEQ + 1 }));
  world.send(audioFrame(2, 0, 100));
  world.send(end(2, 100));
  world.now += 1_001; // its duration has passed
  assert.match(JSON.stringify(world.send(cancel({ before: SEQ + 9 }))), /"utterances":\[\]/);
  assert.deepEqual(world.send(openFrame(3, { seq: SEQ + 1 })).map(({ t }) => t), ["opened", "ack"], "it is whole, and was played");
  assert.deepEqual(world.send(openFrame(4, { seq: SEQ + 2, request: "r.2" })).map(({ t }) => t), ["error"]);
});

test("an application that does not answer a stop holds up the answer for 5 s", () => {
  const world = new World();
  world.send(openFrame(1));
  assert.deepEqual(world.send(cancel({ before: SEQ + 1 })), []);
  assert.deepEqual(world.pass(CLEARED_MS - 1), []);
  assert.deepEqual(world.pass(1).map(({ t }) => t), ["cleared"]);
});

test("a higher sequence ends the lower ones with what has come, and audio is given by sequence", () => {
  const world = new World();
  world.stalled = true;
  world.send(openFrame(1));
  world.send(audioFrame(1, 0, 100));
  world.send(audioFrame(1, 100, 200));
  world.send(audioFrame(1, 300, 400));
  world.send(openFrame(2, { seq: SEQ + 1, request: "r.2" }));
  world.send(audioFrame(2, 0, 50));
  assert.equal(world.heard.get("r.2"), undefined);
  world.stalled = false;
  world.core.taken([...world.core.utterances()][0]!, world.now);
  world.frames();
  assert.equal(world.heard.get("r.1")!.length, 200);
  assert.equal(world.heard.get("r.2")!.length, 50);
  assert.deepEqual(world.events, ["begin r.1", "begin r.2", "failed r.1"]);
  assert.deepEqual(world.send(openFrame(3, { seq: SEQ - 1, request: "r.0" })).map((frame) => frame.t === "error" && frame.code), ["refused"]);
});

test("streams of one connection are interleaved", () => {
  const world = new World();
  for (let s = 0; s < 10; s++) world.send(openFrame(s, { session: `s${s}`, request: `r.${s}`, try: 0 }));
  for (let at = 0; at < 1000; at += 100) for (let s = 0; s < 10; s++) world.send(audioFrame(s, at, at + 100));
  for (let s = 0; s < 10; s++) world.send(end(s, 1000));
  for (let s = 0; s < 10; s++) assert.deepEqual(world.heard.get(`r.${s}`), audio(0, 1000));
});

test("broken rules close the connection, and nothing after them is handled", () => {
  const cases: [string, (world: World) => unknown][] = [
    ["stream 9 was never opened", (world) => world.send(audioFrame(9, 0, 10))],
    ["stream 9 was never opened", (world) => world.send(end(9, 10))],
    ["stream 9 was never opened", (world) => world.send({ t: "text", s: 9, n: 0, ms: 0, text: "" })],
    ["stream 1 was used before", (world) => world.send(openFrame(1, { try: 2 }))],
    ["audio up to 4097 is above the limit 4096", (world) => world.send(audioFrame(1, 4000, 4097))],
    ["audio up to 101 is above the size 100", (world) => [world.send(end(1, 100)), world.send(audioFrame(1, 0, 101))]],
    ["end with size 99 came after one with 100", (world) => [world.send(end(1, 100)), world.send(end(1, 99))]],
    ["end with size 99 came after audio up to 100", (world) => [world.send(audioFrame(1, 90, 100)), world.send(end(1, 99))]],
    ["a frame is no map", (world) => world.sendBytes(Buffer.from([0x90]))],
    ["frames are binary", (world) => world.core.violate(world.connection, "frames are binary", world.now)],
  ];
  for (const [message, breakIt] of cases) {
    const world = new World();
    world.send(openFrame(1));
    breakIt(world);
    world.frames();
    assert.deepEqual(world.events, ["begin r.1", `close ${message}`]);
    assert.deepEqual(world.send(audioFrame(1, 0, 10)), []);
    assert.equal(world.heard.size, 0);
  }
  const many = new World();
  many.send({ t: "of a later version" });
  many.send(openFrame(1, { format: "later" }));
  assert.deepEqual(many.events, []);
});

test("records are kept for an hour, and bounded", () => {
  const world = new World({ maxRecords: 2 });
  world.send(openFrame(1));
  world.send(end(1, 0));
  const code = (s: number, more: object) => world.send(openFrame(s, more)).map((frame) => (frame.t === "error" ? frame.code : frame.t));
  assert.deepEqual(code(2, { session: "x" }), ["busy"]);
  assert.deepEqual(code(3, { seq: SEQ + 1 }), ["busy"]);
  assert.match(JSON.stringify(world.send(cancel({ session: "x", before: 1 }))), /busy/);
  assert.match(JSON.stringify(world.send(cancel({ before: 1 }))), /cleared/, "a session that is kept can always be silenced");
  world.pass(KEEP_RECORDS_MS - 1);
  assert.deepEqual(code(4, { try: 1 }), ["stale_epoch"]);
  world.pass(KEEP_RECORDS_MS);
  assert.equal([...world.core.utterances()].length, 0);
  assert.deepEqual(code(5, { session: "x" }), ["opened"]);
});
