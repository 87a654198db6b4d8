/** The directory: what was committed is there, what a crash has cut does no harm, and the journal does not grow for ever. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFile, readFile, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { DiskStore } from "../../src/v2/disk_store.js";
import type { SessionRecord } from "../../src/v2/session.js";
import type { UtteranceRecord } from "../../src/v2/utterance.js";
import { folder } from "../bridge.js";
import { EPOCH, SEQ, START, audio } from "./peer.js";

const session: SessionRecord = {
  kind: "session", node: "tts", session: "../x", epoch: EPOCH, try: 3, before: SEQ - 1, cancelled: [[SEQ - 5, START]], top: SEQ, at: START,
};
const record: UtteranceRecord = {
  kind: "utterance", node: "tts", session: "../x", seq: SEQ, phone: "전화", request: "../../r", format: "wav", rate: 22_050, channels: 1,
  engine: "espeak", language: "ko-KR", state: "unfinished", upto: 100, given: 40, closed: false, done: false, at: START,
};
const of = { node: "tts", session: "../x", seq: SEQ };

async function reloaded(dir: string) {
  const store = new DiskStore(dir);
  const { sessions, utterances } = await store.load();
  await store.close();
  return { sessions, utterances };
}

test("records and the bytes that were not given are there after a restart", async () => {
  for (const sync of [false, true]) {
    const dir = await folder();
    const store = new DiskStore(dir, sync);
    assert.deepEqual(await store.load(), { sessions: [], utterances: [] });
    assert.deepEqual(await readdir(dir), [], "v1 alone leaves nothing of v2");
    await store.commit([{ kind: "bytes", of, at: 0, bytes: [audio(0, 60)] }, { ...record, upto: 60, given: 0 }, session]);
    await store.commit([{ kind: "bytes", of, at: 60, bytes: [audio(60, 80)] }, { kind: "bytes", of, at: 80, bytes: [audio(80, 100)] }, record]);
    const [file] = (await readdir(dir)).filter((name) => name !== "journal.jsonl");
    assert.equal(file, store.fileOf(of));
    assert.equal((await stat(join(dir, file))).mode & 0o777, 0o600);
    await appendFile(join(dir, file), "more than counts");
    await appendFile(join(dir, "journal.jsonl"), '{"kind":"utter');
    const { sessions, utterances } = await reloaded(dir);
    assert.deepEqual(sessions, [session]);
    assert.deepEqual({ ...utterances[0]!.record }, { ...record });
    assert.deepEqual(utterances[0]!.next(), audio(40, 100));
    await store.commit([{ kind: "bytes", of, at: 100, bytes: [audio(100, 110)] }, { ...record, upto: 110 }]);
    assert.deepEqual((await reloaded(dir)).utterances[0]!.next(), audio(40, 110), "behind what counts, not behind the file");
    assert.equal(await store.sha256(of, 110), createHash("sha256").update(audio(0, 110)).digest("hex"));
    await store.commit([{ kind: "forget", of }, { kind: "forget", of: { node: "tts", session: "../x" } }]);
    assert.deepEqual(await readdir(dir), ["journal.jsonl"]);
    await store.close();
    assert.deepEqual(await reloaded(dir), { sessions: [], utterances: [] });
  }
});

test("an audio file that somebody has removed is forgotten, and its bytes come again", async () => {
  const dir = await folder();
  const store = new DiskStore(dir);
  await store.load();
  await store.commit([{ kind: "bytes", of, at: 0, bytes: [audio(0, 100)] }, { ...record, state: "whole", size: 100, status: "complete" }, session]);
  await store.close();
  await rm(join(dir, store.fileOf(of)));
  const [utterance] = (await reloaded(dir)).utterances;
  assert.deepEqual([utterance!.upto, utterance!.given, utterance!.state, utterance!.size], [40, 40, "unfinished", undefined]);
});

test("the journal is written anew, and nothing that counts is lost", async () => {
  const dir = await folder();
  const store = new DiskStore(dir);
  await store.load();
  let largest = 0;
  for (let round = 0; round < 500; round++) {
    const changes = Array.from({ length: 100 }, (_, index) => ({ ...record, seq: index, upto: 0, given: 0, at: round }));
    await store.commit([...changes, { ...session, try: round }]);
    largest = Math.max(largest, (await stat(join(dir, "journal.jsonl"))).size);
  }
  await store.close();
  const lines = (await readFile(join(dir, "journal.jsonl"), "utf8")).trimEnd().split("\n").length;
  assert.ok(lines <= 20_100, `${lines} lines`);
  const { sessions, utterances } = await reloaded(dir);
  assert.equal(sessions[0]!.try, 499);
  assert.deepEqual(utterances.map(({ record: { at } }) => at), Array(100).fill(499));
});
