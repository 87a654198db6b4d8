/** What is new in each `text` of an utterance. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Text, Word } from "../../src/v2/messages.js";
import { Sentences } from "../../src/v2/sentences.js";
import { random } from "./random.js";

const text = (n: number, ms: number, ...words: Word[]): Text => ({ n, ms, text: `sentence ${n}`, words: words.length > 0 ? words : undefined });

test("a sentence begins once, and its words are added", () => {
  const sentences = new Sentences();
  assert.deepEqual(sentences.take(text(0, 0, [0, 2, 0, 90])), { begins: true, words: [[0, 2, 0, 90]] });
  const number: Word[] = [[3, 2, 90, 120], [3, 2, 120, 200]];
  assert.deepEqual(sentences.take(text(0, 0, ...number)), { begins: false, words: number }, "two words have one place");
  assert.deepEqual(sentences.take(text(1, 250)), { begins: true, words: [] });
  const again = sentences.take(text(0, 0, [3, 2, 120, 200], [6, 1, 200, 240]));
  assert.deepEqual(again, { begins: false, words: [[6, 1, 200, 240]] }, "a break: some words come twice");
  assert.deepEqual(sentences.take(text(0, 0)), { begins: false, words: [] });
});

test("a sentence that begins at another time has new words", () => {
  const sentences = new Sentences();
  sentences.take(text(0, 100, [0, 2, 100, 190], [3, 1, 190, 250]));
  const anew = sentences.take(text(0, 180, [0, 2, 180, 260]));
  assert.deepEqual(anew, { begins: true, words: [[0, 2, 180, 260]] });
});

test("however often a bridge goes back, each word comes once and in order", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const { below } = random(seed);
    let at = 0;
    const frames = Array.from({ length: 1 + below(20) }, (_, index) => {
      const words = Array.from({ length: below(4) }, (): Word => [at, 1, at, (at += 1 + below(30))]);
      return text(index >> 2, 1000 * (index >> 2), ...words);
    });
    const sentences = new Sentences();
    const heard: Word[] = [];
    for (let reached = 0, first = 0; reached < frames.length; first = below(reached + 1)) {
      const past = Math.min(first + 1 + below(6), frames.length);
      for (const frame of frames.slice(first, past)) heard.push(...sentences.take(frame).words);
      reached = Math.max(reached, past);
    }
    assert.deepEqual(heard, frames.flatMap(({ words = [] }) => words));
  }
});

test("only so many sentences are kept", () => {
  const sentences = new Sentences();
  for (let n = 0; n <= 1_000; n++) assert.ok(sentences.take(text(n, n)).begins);
  assert.ok(!sentences.take(text(1_000, 1_000)).begins && !sentences.take(text(1, 1)).begins);
  assert.ok(sentences.take(text(0, 0)).begins);
});
