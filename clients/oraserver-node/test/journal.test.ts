/** The journal: replayed from its beginning to its last whole line, and never left with half a line. */

import assert from "node:assert/strict";
import { appendFile, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Journal } from "../src/journal.js";
import { folder } from "./bridge.js";

async function entries(path: string): Promise<unknown[]> {
  const found: unknown[] = [];
  await (await Journal.open(path, false, (entry) => found.push(entry))).close();
  return found;
}

test("entries are replayed in their order, and appended to", async () => {
  const path = join(await folder(), "journal.jsonl");
  for (const sync of [false, true]) {
    const journal = await Journal.open(path, sync, () => {});
    await Promise.all([1, 2, 3].map((n) => journal.append({ n, sync, id: "한글\u2028" })));
    await journal.append({ n: 4, sync, id: "한글\u2028" });
    await journal.close();
  }
  const expected = [false, true].flatMap((sync) => [1, 2, 3, 4].map((n) => ({ n, sync, id: "한글\u2028" })));
  assert.deepEqual(await entries(path), expected);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test("a line that was cut at any place is dropped, and the next one is whole", async () => {
  const path = join(await folder(), "journal.jsonl");
  const whole = Buffer.from('{"n":1}\n');
  const last = Buffer.from('{"id":"한글"}\n');
  for (let cut = 0; cut < last.length; cut++) {
    await writeFile(path, Buffer.concat([whole, last.subarray(0, cut)]));
    assert.deepEqual(await entries(path), [{ n: 1 }], `cut after ${cut} bytes`);
    assert.deepEqual(await readFile(path), whole);
    const journal = await Journal.open(path, false, () => {});
    await journal.append({ n: 2 });
    await journal.close();
    assert.deepEqual(await entries(path), [{ n: 1 }, { n: 2 }], `cut after ${cut} bytes`);
  }
});

test("zeros, which a power cut may leave, are dropped", async () => {
  const path = join(await folder(), "journal.jsonl");
  await writeFile(path, '{"n":1}\n');
  await appendFile(path, Buffer.from("\0\0\0\0\n\0\0\0"));
  assert.deepEqual(await entries(path), [{ n: 1 }]);
});

test("what is appended at the same time, and while a write is running, is written in that order", async () => {
  const path = join(await folder(), "journal.jsonl");
  const journal = await Journal.open(path, false, () => {});
  const done: number[] = [];
  const numbers = [...Array(500).keys()];
  const appended: Promise<unknown>[] = [];
  for (const n of numbers) {
    appended.push(journal.append({ n }).then(() => done.push(n)));
    if (n % 10 === 0) await new Promise(setImmediate);
  }
  await Promise.all(appended);
  await journal.close();
  assert.deepEqual(await entries(path), numbers.map((n) => ({ n })));
  assert.deepEqual(done, numbers);
});
