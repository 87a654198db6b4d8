/** The frames: as the page has them in its examples, and nothing that breaks its rules. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { encode } from "@msgpack/msgpack";
import { crc32 } from "../../src/v2/crc32.js";
import { Violation, decodeFrame, encodeFrame, type ServerFrame } from "../../src/v2/messages.js";
import { EPOCH, SEQ, openFrame } from "./peer.js";

const PLACES = ["oraserver-v2-messages.md", "../../docs/reference/oraserver-v2-messages.md"];
const PAGE = PLACES.find((place) => existsSync(place));

interface Example {
  title: string;
  json: Record<string, unknown>;
  hex: string;
}

function examples(page: string): Example[] {
  const sections = page.split(/^## /m).slice(1);
  return sections.map((section) => {
    const [, json, hex] = /```json\n(.*?)\n```.*?```text\n(.*?)\n```/s.exec(section)!;
    return { title: section.split("\n", 1)[0]!, json: JSON.parse(json!) as Record<string, unknown>, hex: hex!.replace(/\s/g, "") };
  });
}

/** JSON has bytes as `0x…`. */
function withBytes(json: Record<string, unknown>): Record<string, unknown> {
  const { data } = json;
  return typeof data === "string" ? { ...json, data: new Uint8Array(Buffer.from(data.slice(2), "hex")) } : json;
}

test("the examples of the page", { skip: PAGE === undefined && "the page is not here" }, () => {
  const found = examples(readFileSync(PAGE!, "utf8"));
  assert.equal(found.length, 12);
  for (const { title, json, hex } of found) {
    const bytes = Buffer.from(hex, "hex");
    const isFromServer = ["hello, from OraServer", "opened", "ack", "played", "cleared", "error"].includes(title);
    if (isFromServer) {
      assert.equal(Buffer.from(encodeFrame(json as unknown as ServerFrame)).toString("hex"), hex, title);
    } else {
      const frame = decodeFrame(bytes) as unknown as Record<string, unknown>;
      const known = Object.fromEntries(Object.entries(frame).filter(([, value]) => value !== undefined));
      if (known["data"] instanceof Uint8Array) known["data"] = new Uint8Array(known["data"]); // it was a part of a Buffer
      assert.deepEqual(known, withBytes(json), title);
    }
  }
  const audio = found.find(({ title }) => title === "audio")!;
  assert.equal(crc32(withBytes(audio.json)["data"] as Uint8Array), audio.json["crc"]);
});

test("integers are exact up to 2^53 - 1, and larger ones are refused", () => {
  for (const seq of [0, 127, 128, 2 ** 32 - 1, 2 ** 32, SEQ, EPOCH, 2 ** 53 - 1]) {
    const frame = decodeFrame(encode(openFrame(1, { seq })));
    assert.equal(frame.t === "open" && frame.seq, seq);
    const cleared = encodeFrame({ t: "cleared", session: "s", utterances: [["r", seq, 0]], before: seq });
    const asBigInt = encode({ t: "cleared", session: "s", utterances: [["r", BigInt(seq), 0n]], before: BigInt(seq) }, { useBigInt64: true });
    if (seq >= 2 ** 32) assert.deepEqual(cleared.slice(-8), asBigInt.slice(-8), String(seq));
  }
  for (const seq of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n + 1n, 2n ** 64n - 1n]) {
    const bytes = encode({ ...openFrame(1), seq, epoch: 1n, try: 1n }, { useBigInt64: true });
    assert.throws(() => decodeFrame(bytes), { message: "seq must be an integer from 0 to 2^53 - 1" }, String(seq));
  }
});

test("unknown types and keys are ignored, and nil is as missing", () => {
  assert.deepEqual(decodeFrame(encode({ t: "a later one", s: "x" })), { t: "unknown" });
  const frame = decodeFrame(encode(openFrame(1, { later: [{ a: 1 }], fresh: null })));
  assert.equal(frame.t === "open" && frame.fresh, false);
  assert.deepEqual(decodeFrame(encode({ t: "cancel", session: "s", epoch: 1, before: null, seq: 5 })), {
    t: "cancel", session: "s", epoch: 1, before: undefined, seq: 5,
  });
});

test("frames that break the protocol are violations", () => {
  const audio = { t: "audio", s: 1, at: 0, data: Buffer.from("a") };
  for (const frame of [
    [], 1, "text", null, new Date(0), {}, { t: 1 },
    openFrame(1, { s: -1 }), openFrame(1, { s: 1.5 }), openFrame(1, { seq: "1" }), openFrame(1, { session: "" }),
    openFrame(1, { session: "a\u0000" }), openFrame(1, { format: undefined }), openFrame(1, { fresh: 1 }), openFrame(1, { rate: null }),
    { ...audio, data: "a" }, { ...audio, data: Buffer.alloc(0) }, { ...audio, at: undefined }, { ...audio, crc: "1" },
    { t: "end", s: 1, status: "other", size: 1, ms: 1 }, { t: "end", s: 1, status: "complete", ms: 1 },
    { t: "text", s: 1, n: 0, ms: 0, text: 1 }, { t: "text", s: 1, n: 0, ms: 0, text: "", words: [[1, 2, 3]] },
    { t: "cancel", session: "s", epoch: 1 }, { t: "hello", version: 2, node: "n", bridge: "b" },
  ]) {
    assert.throws(() => decodeFrame(encode(frame)), Violation, JSON.stringify(frame));
  }
  const whole = encode(openFrame(1));
  for (let length = 0; length < whole.length; length++) assert.throws(() => decodeFrame(whole.subarray(0, length)), Violation);
  assert.throws(() => decodeFrame(Buffer.concat([whole, Buffer.from([0])])), Violation);
  assert.throws(() => decodeFrame(Buffer.from("dd01ffffff", "hex")), Violation); // an array of 33 million elements
  assert.throws(() => decodeFrame(Buffer.from("81a174c403616263", "hex")), Violation);
});
