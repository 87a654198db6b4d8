/** What the tests of the core use: frames as a bridge makes them, and what the core asks for. */

import { encode } from "@msgpack/msgpack";
import { Core } from "../../src/v2/core.js";
import { crc32 } from "../../src/v2/crc32.js";
import type { Change, Effect } from "../../src/v2/effects.js";
import type { ServerFrame } from "../../src/v2/messages.js";
import type { Rules } from "../../src/v2/rules.js";

export const RULES: Rules = {
  credit: 4096, streams: 100, formats: ["wav"], keepMs: 60_000, crc: false, played: false, maxRecords: 1000,
};
export const SEQ = 1_764_496_805_123_457;
export const EPOCH = 1_764_496_805_120_000;
export const START = 1_764_496_800_000;

/** Bytes that differ from those of another offset. */
export function audio(from: number, to: number): Buffer {
  return Buffer.from(Array.from({ length: to - from }, (_, index) => (from + index + ((from + index) >> 8) * 7) & 0xff));
}

export function openFrame(s: number, more: object = {}): object {
  return {
    t: "open", s, session: "cap", phone: "전화 1", request: "r.1", seq: SEQ, epoch: EPOCH, try: s, acked: 0, format: "wav",
    rate: 22_050, channels: 1, engine: "espeak", language: "ko-KR", ...more,
  };
}

export function audioFrame(s: number, from: number, to: number, more: object = {}): object {
  const data = audio(from, to);
  return { t: "audio", s, at: from, data, crc: crc32(data), ...more };
}

/** A core whose application takes all audio at once, unless `stalled`. */
export class World {
  readonly core: Core;
  now = START;
  stalled = false;
  /** What was asked for since the last `take`, without what is stored. */
  done: Effect[] = [];
  /** The audio that each request's application has got. */
  readonly heard = new Map<string, Buffer>();
  readonly events: string[] = [];
  readonly saved: Change[] = [];
  connection: number;

  constructor(rules: Partial<Rules> = {}, hello = true) {
    this.core = new Core({ ...RULES, ...rules });
    this.connection = this.core.connect(this.now);
    this.carryOut();
    if (hello) this.hello();
    this.done = [];
  }

  /** Another connection, which the frames below go over from now on. */
  reconnect(node = "tts"): number {
    this.connection = this.core.connect(this.now);
    this.hello(node);
    this.done = [];
    return this.connection;
  }

  hello(node = "tts"): void {
    this.send({ t: "hello", version: 2, node, bridge: "b", software: "orastream/0.1.0" });
  }

  send(frame: object, connection = this.connection): ServerFrame[] {
    return this.sendBytes(encode(frame), connection);
  }

  sendBytes(data: Uint8Array, connection = this.connection): ServerFrame[] {
    this.core.frame(connection, data, this.now);
    return this.frames();
  }

  /** Let time pass. */
  pass(ms: number): ServerFrame[] {
    this.now += ms;
    this.core.tick(this.now);
    return this.frames();
  }

  /** What was sent since the last call. */
  frames(): ServerFrame[] {
    this.carryOut();
    const sent = this.done.flatMap((effect) => (effect.kind === "send" ? [effect.frame] : []));
    this.done = [];
    return sent;
  }

  carryOut(): void {
    for (let effects; (effects = this.core.take()).length > 0; ) {
      for (const effect of effects) {
        if (effect.kind === "save") {
          this.saved.push(effect.change);
          continue;
        }
        this.done.push(effect);
        if (effect.kind === "close") this.events.push(`close ${effect.reason}`);
        if (effect.kind === "audio") {
          const { request } = effect.utterance.record;
          const heard = this.heard.get(request) ?? Buffer.alloc(0);
          if (effect.at !== heard.length) throw new Error(`${request}: given ${effect.at} after ${heard.length} bytes`);
          this.heard.set(request, Buffer.concat([heard, effect.data]));
          if (!this.stalled) this.core.taken(effect.utterance, this.now);
        }
        if (effect.kind === "begin") this.events.push(`begin ${effect.utterance.record.request}`);
        if (effect.kind === "ended") this.events.push(`${effect.utterance.speech.end} ${effect.utterance.record.request}`);
        if (effect.kind === "stop") this.events.push(`stop ${effect.utterance.record.request}`);
      }
    }
  }
}
