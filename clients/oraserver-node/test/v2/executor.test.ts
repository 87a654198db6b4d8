/** The order of storing, sending and calling, with a store that the test holds up. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { encode } from "@msgpack/msgpack";
import type { Listener } from "../../src/listener.js";
import { Core } from "../../src/v2/core.js";
import type { Change } from "../../src/v2/effects.js";
import { Executor } from "../../src/v2/executor.js";
import { MemoryStore } from "../../src/v2/store.js";
import { EPOCH, RULES, SEQ, START, audioFrame, openFrame } from "./peer.js";

/** Its commits wait until the test lets them go, or fail. */
class HeldStore extends MemoryStore {
  readonly commits: { changes: readonly Change[]; go: () => void; fail: (error: Error) => void }[] = [];

  override commit(changes: readonly Change[]): Promise<void> {
    return new Promise((go, fail) => this.commits.push({ changes, go, fail }));
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function started(listener: Listener) {
  const store = new HeldStore();
  const core = new Core(RULES);
  const sent: string[] = [];
  const failures: unknown[] = [];
  const executor: Executor = new Executor(store, listener, {
    send: (effect) => sent.push(effect.kind === "send" ? effect.frame.t : "close"),
    taken: (utterance) => {
      core.taken(utterance, START);
      executor.push(core.take());
    },
    stopped: (utterance, ms) => {
      core.stopped(utterance, ms, START);
      executor.push(core.take());
    },
    failed: (error) => failures.push(error),
    complained: (error) => failures.push(error),
  });
  const connection = core.connect(START);
  const send = (...frames: object[]) => {
    for (const frame of frames) core.frame(connection, encode(frame), START);
    executor.push(core.take());
  };
  send({ t: "hello", version: 2, node: "tts", bridge: "b", software: "s" });
  return { store, executor, sent, failures, send };
}

test("nothing is sent or given before it is stored, and what comes meanwhile is stored together", async () => {
  const calls: unknown[] = [];
  const { store, executor, sent, send } = started({ onAudio: (_, data, at) => calls.push([at, data.length]) });
  send(openFrame(0), audioFrame(0, 0, 100));
  await turn();
  assert.deepEqual([store.commits.length, sent, calls], [1, [], []]);
  assert.ok(executor.waiting > 100);
  for (let at = 100; at < 1000; at += 100) send(audioFrame(0, at, at + 100));
  send({ t: "end", s: 0, status: "complete", size: 1000, ms: 1 });
  await turn();
  assert.equal(store.commits.length, 1);
  store.commits[0]!.go();
  await turn();
  assert.deepEqual([store.commits.length, sent, calls], [2, ["hello", "opened", "ack"], [[0, 100]]]);
  const given = store.commits[1]!.changes.flatMap((change) => (change.kind === "utterance" ? [change.given] : []));
  assert.equal(given.at(-1), 1000, "the offset of what is given next is stored with it");
  store.commits[1]!.go();
  await turn();
  assert.deepEqual([sent.at(-1), calls.at(-1)], ["ack", [100, 900]]);
  store.commits[2]!.go(); // that it has ended
  await turn();
  assert.equal(executor.waiting, 0);
});

test("a cancel that comes while something is being stored keeps the application from getting it", async () => {
  const calls: string[] = [];
  const { store, sent, send } = started({
    onAudio: () => calls.push("audio"),
    onComplete: () => calls.push("complete"),
    onInterrupted: ({ end }) => calls.push(`interrupted ${end}`),
  });
  send(openFrame(0), { t: "end", s: 0, status: "failed", size: 0, ms: 1000 });
  send(openFrame(1, { session: "other", request: "r.2" }), audioFrame(1, 0, 100));
  await turn();
  for (const session of ["cap", "other"]) send({ t: "cancel", session, epoch: EPOCH, seq: SEQ });
  for (let commit = 0; commit < 6; commit++) {
    store.commits[commit]?.go();
    await turn();
  }
  assert.deepEqual(calls, ["interrupted cancelled", "interrupted cancelled"]);
  assert.equal(sent.filter((type) => type === "cleared").length, 2);
});

test("what waits is counted, also what has no audio", async () => {
  const { store, executor, send } = started({});
  await turn();
  const before = executor.waiting;
  const sentences = Array.from({ length: 100 }, (_, n) => ({ t: "text", s: 0, n, ms: n, text: "가".repeat(1000) }));
  send(openFrame(0), ...sentences);
  assert.ok(executor.waiting - before >= 100 * 2000);
  const words = Array.from({ length: 100 }, (_, n) => ({ ...sentences[99]!, words: [[n, 1, 99 + n, 100 + n]] }));
  send(...words);
  assert.ok(executor.waiting - before >= 200 * 2000);
  await turn();
  store.commits[0]!.go();
  await turn();
  assert.equal(executor.waiting, 0);
});

test("after a failure nothing is carried out, and nothing is stored", async () => {
  const calls: unknown[] = [];
  const { store, executor, sent, failures, send } = started({ onAudio: () => calls.push("audio") });
  send(openFrame(0), audioFrame(0, 0, 100));
  await turn();
  const full = new Error("the disk is full");
  store.commits[0]!.fail(full);
  await executor.idle();
  send(audioFrame(0, 100, 200));
  await turn();
  assert.deepEqual([failures, sent, calls, store.commits.length], [[full], [], [], 1]);
});
