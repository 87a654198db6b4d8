/** The bytes of an utterance: in any order and any cut, and given once, against a model that has a flag for each byte. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_RANGES, Utterance } from "../../src/v2/utterance.js";
import { decodeFrame } from "../../src/v2/messages.js";
import { encode } from "@msgpack/msgpack";
import { START, audio, openFrame } from "./peer.js";
import { random } from "./random.js";

function utterance(): Utterance {
  const open = decodeFrame(encode(openFrame(1)));
  assert.ok(open.t === "open");
  return Utterance.begin("tts", open, "", START);
}

test("any order of any ranges gives the file once, and `ranges` is what is stored above `upto`", () => {
  for (let seed = 0; seed < 300; seed++) {
    const { below } = random(seed);
    const size = 1 + below(3000);
    const file = audio(0, size);
    const stored = new Set<number>();
    const subject = utterance();
    let given = Buffer.alloc(0);
    for (let frames = 0; subject.upto < size; frames++) {
      const at = frames > 400 ? subject.upto : below(size); // at the end what is missing, in order
      const to = Math.min(size, at + 1 + below(300));
      const before = { upto: subject.upto, ranges: subject.ranges() };
      const arrival = subject.arrive(at, file.subarray(at, to));
      for (let byte = at; byte < to; byte++) stored.add(byte);
      assert.equal(arrival.at, before.upto);
      assert.deepEqual(Buffer.concat(arrival.bytes), file.subarray(before.upto, subject.upto));
      const ranges = subject.ranges();
      assert.ok(ranges.length <= MAX_RANGES);
      let last = subject.upto;
      for (const [from, end] of ranges) {
        assert.ok(from > last && end > from, "in order, without overlap, and not touching");
        last = end;
      }
      const has = (byte: number) => byte < subject.upto || ranges.some(([from, end]) => from <= byte && byte < end);
      for (let byte = 0; byte < size; byte += 7) assert.equal(has(byte), stored.has(byte), `seed ${seed}, byte ${byte}`);
      if (below(3) === 0) given = Buffer.concat([given, subject.next() ?? Buffer.alloc(0)]);
      assert.equal(subject.given, given.length);
    }
    assert.deepEqual(Buffer.concat([given, subject.next() ?? Buffer.alloc(0)]), file);
  }
});

test("bytes that are stored stay, when others come for their offset", () => {
  const subject = utterance();
  subject.arrive(10, Buffer.from("STORED"));
  subject.arrive(5, Buffer.from("xxxxxxxxxxxxxxx"));
  subject.arrive(0, Buffer.from("yyyyyyyyyyyyyyyyyyyyyyyyy"));
  assert.equal(subject.next()!.toString(), "yyyyyxxxxxSTOREDxxxxyyyyy");
});

test("a range more than 64 is dropped, and those that touch another one are not", () => {
  const subject = utterance();
  for (let index = 0; index < 70; index++) subject.arrive(10 + 10 * index, audio(10 + 10 * index, 15 + 10 * index));
  assert.equal(subject.ranges().length, 64);
  assert.equal(subject.highest, 10 + 10 * 63 + 5);
  subject.arrive(15, audio(15, 20));
  assert.equal(subject.ranges().length, 63);
  for (let at = 0; at < 705; at += 5) subject.arrive(at, audio(at, at + 5));
  assert.deepEqual(subject.next(), audio(0, 705));
});

test("what leaves a gap and what fills one is urgent", () => {
  const subject = utterance();
  const urgent = (from: number, to: number) => subject.arrive(from, audio(from, to)).urgent;
  assert.deepEqual(
    [urgent(0, 10), urgent(20, 30), urgent(30, 40), urgent(50, 60), urgent(0, 10), urgent(12, 15), urgent(10, 20), urgent(40, 50), urgent(60, 70)],
    [false, true, false, true, false, true, true, true, false],
  );
});
