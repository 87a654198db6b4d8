/**
 * Random sequences: bridges that send in any order, lose frames, break and resume, cancel and take over, and a receiver
 * that is killed between two commits. Whatever happens, the application gets each byte once, and in order.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { encode } from "@msgpack/msgpack";
import { Core } from "../../src/v2/core.js";
import type { Change, Effect } from "../../src/v2/effects.js";
import type { ServerFrame } from "../../src/v2/messages.js";
import { DiskStore } from "../../src/v2/disk_store.js";
import { MemoryStore, type Store } from "../../src/v2/store.js";
import type { Utterance } from "../../src/v2/utterance.js";
import { folder } from "../bridge.js";
import { EPOCH, RULES, SEQ, START, audio, audioFrame, openFrame } from "./peer.js";
import { random, type Random } from "./random.js";

const SESSIONS = 3;

/** What the application has got of an utterance, over all restarts. */
interface Heard {
  /** The next byte that it may get. */
  at: number;
  lost: number;
  ended: string[];
}

class Run {
  core!: Core;
  now = START;
  connection = 0;
  readonly heard = new Map<string, Heard>();
  readonly sent: ServerFrame[] = [];
  readonly acked = new Map<number, { upto: number; limit: number; size?: number | undefined }>();
  readonly holding = new Set<Utterance>();
  #stream = 0;
  #tries = 0;

  constructor(
    readonly store: Store,
    readonly random: Random,
    /** Kill it also between a commit and what follows: the bytes in between are lost to the application. */
    readonly loses: boolean,
  ) {}

  async restart(): Promise<void> {
    this.core = new Core({ ...RULES, crc: true, credit: 4096 });
    this.core.restore(await this.store.load(), this.now);
    this.holding.clear();
    this.connect();
    await this.work();
  }

  connect(): void {
    if (this.connection > 0) this.core.disconnect(this.connection, this.now);
    this.connection = this.core.connect(this.now);
    this.send({ t: "hello", version: 2, node: "tts", bridge: "b", software: "s" });
    this.acked.clear();
    this.#stream = 0;
  }

  send(frame: object): void {
    this.core.frame(this.connection, encode(frame), this.now);
  }

  open(session: string, seq: number): number {
    const s = this.#stream++;
    this.send(openFrame(s, { session, seq, request: `${session}.${seq}`, try: ++this.#tries }));
    return s;
  }

  /** Commit and carry out what the core asks for. Returns false if the process was killed meanwhile. */
  async work(kill = false): Promise<boolean> {
    for (let effects; (effects = this.core.take()).length > 0; ) {
      if (kill && this.random.chance(0.5)) return false;
      await this.store.commit(effects.flatMap((effect): Change[] => (effect.kind === "save" ? [effect.change] : [])));
      if (kill && this.loses && this.random.chance(0.5)) {
        for (const effect of effects) if (effect.kind === "audio") this.#of(effect.utterance).lost += effect.data.length;
        return false;
      }
      for (const effect of effects) this.#carryOut(effect);
    }
    return true;
  }

  #of(utterance: Utterance): Heard {
    const { request } = utterance.record;
    let heard = this.heard.get(request);
    if (heard === undefined) this.heard.set(request, (heard = { at: 0, lost: 0, ended: [] }));
    return heard;
  }

  #carryOut(effect: Effect): void {
    if (effect.kind === "audio") {
      const heard = this.#of(effect.utterance);
      if (effect.utterance.state === "cancelled") return;
      assert.ok(effect.at >= heard.at, `given ${effect.at} twice`);
      if (!this.loses) assert.equal(effect.at, heard.at, "a byte is missing");
      assert.deepEqual(effect.data, audio(effect.at, effect.at + effect.data.length));
      heard.at = effect.at + effect.data.length;
      assert.deepEqual(heard.ended, [], "audio after the end");
      if (this.random.chance(0.2)) this.holding.add(effect.utterance);
      else this.core.taken(effect.utterance, this.now);
    } else if (effect.kind === "ended") this.#of(effect.utterance).ended.push(effect.utterance.speech.end!);
    else if (effect.kind === "stop") this.core.stopped(effect.utterance, undefined, this.now);
    else if (effect.kind === "close") assert.fail(`closed: ${effect.reason}`);
    else if (effect.kind === "send") this.#noteFrame(effect.frame);
  }

  #noteFrame(frame: ServerFrame): void {
    this.sent.push(frame);
    if (frame.t !== "ack" && frame.t !== "opened") return;
    const before = this.acked.get(frame.s);
    if (before !== undefined) assert.ok(frame.upto >= before.upto && frame.limit >= before.limit, "within an open nothing falls");
    assert.ok(frame.limit >= frame.upto && frame.limit <= frame.upto + 4096);
    this.acked.set(frame.s, frame);
  }
}

/** One session after the other speaks some utterances; the others go on in between. */
async function converse(run: Run): Promise<void> {
  const { random } = run;
  const size = () => 1 + random.below(20_000);
  const talks = Array.from({ length: SESSIONS }, (_, index) => ({ session: `s${index}`, seq: SEQ, size: size(), s: -1, left: 4 }));
  const reopen = () => talks.forEach((talk) => (talk.s = -1));
  await run.restart();
  for (let step = 0; step < 1_500 && talks.some(({ left }) => left > 0); step++) {
    run.now += random.below(100);
    const talk = random.pick(talks.filter(({ left }) => left > 0));
    const state = run.acked.get(talk.s);
    const isLive = talk.s >= 0 && state !== undefined;
    const last = isLive && state.size === talk.size && state.upto === talk.size;
    if (last || (isLive && random.chance(0.005))) {
      if (!last) run.send({ t: "cancel", session: talk.session, epoch: EPOCH, before: talk.seq + 1 });
      Object.assign(talk, { seq: talk.seq + 1, size: size(), s: -1, left: talk.left - 1 });
    } else if (!isLive) {
      talk.s = run.open(talk.session, talk.seq);
    } else {
      const at = random.chance(0.7) ? state.upto : state.upto + random.below(1000);
      const to = Math.min(at + 1 + random.below(1500), state.limit, talk.size);
      const isDamaged = random.chance(0.1);
      if (to > at) run.send(audioFrame(talk.s, at, to, isDamaged ? { crc: 1 } : {}));
      if (random.chance(0.3)) run.send({ t: "end", s: talk.s, status: "complete", size: talk.size, ms: 1 });
    }
    for (const utterance of [...run.holding]) {
      if (random.chance(0.3) && run.holding.delete(utterance)) run.core.taken(utterance, run.now);
    }
    run.core.tick(run.now);
    if (random.chance(0.01)) {
      await run.work();
      run.connect();
      reopen();
    } else if (!(await run.work(random.chance(0.02)))) {
      await run.restart();
      reopen();
    }
  }
  assert.ok(talks.every(({ left }) => left === 0), "the conversations did not come to their end");
  while (run.holding.size > 0) {
    for (const utterance of [...run.holding]) if (run.holding.delete(utterance)) run.core.taken(utterance, run.now);
    await run.work();
  }
}

for (const [name, loses] of [["a kill loses nothing before the commit", false], ["a kill after the commit loses at most what was about to be given", true]] as const) {
  test(`random sequences: ${name}`, async () => {
    for (let seed = 0; seed < 60; seed++) {
      const store = seed % 10 === 0 ? new DiskStore(await folder()) : new MemoryStore();
      const run = new Run(store, random(seed), loses);
      try {
        await converse(run);
        for (const utterance of run.core.utterances()) {
          const { request } = utterance.record;
          const heard = run.heard.get(request);
          if (utterance.state !== "whole" || utterance.status !== "complete") continue;
          assert.equal(heard!.at === utterance.size || (loses && heard!.lost > 0), true, `${request}: ${heard!.at} of ${utterance.size}`);
          if (!loses) assert.deepEqual(heard!.ended, ["complete"], request);
        }
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      } finally {
        await store.close();
      }
    }
  });
}
