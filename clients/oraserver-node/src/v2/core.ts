/**
 * Protocol v2 as OraServer speaks it, without I/O: it takes frames and the time, and returns what is to be done.
 * Times are ms since 1970. After each call the shell carries out `take()`, in its order.
 */

import { crc32 } from "./crc32.js";
import type { Effect, Key } from "./effects.js";
import { Violation, decodeFrame, type Audio, type BridgeFrame, type Cancel, type End, type Open } from "./messages.js";
import { Cancels, cancelKey } from "./cancels.js";
import type { Rules } from "./rules.js";
import type { Session } from "./session.js";
import { Sessions, type Saved } from "./sessions.js";
import { Stream, type Peer } from "./stream.js";
import { Utterance } from "./utterance.js";

const HELLO_MS = 5_000;
const MAX_SWEEP_MS = 10_000;

export class Core {
  readonly #peers = new Map<number, Peer>();
  readonly #sessions: Sessions;
  readonly #cancels: Cancels;
  #effects: Effect[] = [];
  #peerCount = 0;
  #sweptAt = 0;
  readonly #emit = (effect: Effect) => void this.#effects.push(effect);

  constructor(
    private readonly rules: Rules,
    private readonly fileOf: (of: Key) => string = () => "",
  ) {
    this.#sessions = new Sessions(rules.maxRecords, this.#emit);
    this.#cancels = new Cancels(this.#emit);
  }

  /** What is to be done, since the last call. */
  take(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** All utterances, in no order. */
  utterances(): Iterable<Utterance> {
    return this.#sessions.utterances();
  }

  /** After a start: go on with what was stored. */
  restore(saved: Saved, now: number): void {
    this.#sessions.restore(saved, now);
  }

  /** A connection of v2 was opened. Returns its number. */
  connect(now: number): number {
    const peer: Peer = { id: ++this.#peerCount, node: undefined, seen: 0, top: -1, streams: new Map(), since: now };
    this.#peers.set(peer.id, peer);
    const { credit, streams, formats, keepMs, crc, played } = this.rules;
    const frame = { t: "hello" as const, version: 2 as const, credit, streams, formats, keep_ms: keepMs };
    this.#emit({
      kind: "send", connection: peer.id,
      frame: { ...frame, crc: crc || undefined, played: played || undefined },
    });
    return peer.id;
  }

  /** A binary frame has come. */
  frame(connection: number, data: Uint8Array, now: number): void {
    const peer = this.#peers.get(connection);
    if (peer === undefined) return; // its connection is being closed
    peer.seen += 1;
    try {
      this.#handle(peer, decodeFrame(data), now);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.violate(connection, error.message, now);
    }
  }

  /** The bridge has broken a rule: the connection ends, and nothing more of it is handled. */
  violate(connection: number, message: string, now: number): void {
    if (!this.#peers.has(connection)) return;
    this.#emit({ kind: "send", connection, frame: { t: "error", code: "failed", message, fatal: true } });
    this.#emit({ kind: "close", connection, reason: message });
    this.disconnect(connection, now);
  }

  /** A connection has ended. */
  disconnect(connection: number, now: number): void {
    const peer = this.#peers.get(connection);
    if (peer === undefined) return;
    this.#peers.delete(connection);
    for (const stream of [...peer.streams.values()]) {
      stream.utterance.at = now; // `keep_ms` begins
      stream.session.leave();
    }
  }

  /** The application has done with the audio that it was given last. */
  taken(utterance: Utterance, now: number): void {
    utterance.taken = utterance.given;
    const session = this.#find(utterance.record);
    session?.pump(now);
    const stream = session?.stream;
    if (stream?.utterance === utterance && stream.hasRoom) this.#ack(stream, now);
  }

  /** The phone plays nothing more of a cancelled utterance. `ms`: what it has played, if the application knows. */
  stopped(utterance: Utterance, ms: number | undefined, now: number): void {
    if (ms !== undefined) utterance.played = ms;
    utterance.closed = true;
    this.#find(utterance.record)?.saveUtterance(utterance, now);
    this.#cancels.stopped(utterance);
  }

  /** The phone has played so much of an utterance. Does nothing if it is not known any more. */
  played(of: Key, ms: number, done: boolean, now: number): void {
    const session = this.#find(of);
    const utterance = session?.utterances.get(of.seq);
    if (session === undefined || utterance === undefined || utterance.state === "cancelled") return;
    utterance.played = ms;
    utterance.done ||= done;
    session.saveUtterance(utterance, now);
    const { sentOn } = utterance;
    if (!this.rules.played || sentOn === undefined || !this.#peers.has(sentOn.connection)) return;
    const frame = { t: "played" as const, s: sentOn.s, ms, done: done || undefined };
    this.#emit({ kind: "send", connection: sentOn.connection, frame });
  }

  /** To be called several times a second: sends the acks that are due, and forgets what is old. */
  tick(now: number): void {
    for (const peer of [...this.#peers.values()]) {
      if (peer.node === undefined && now - peer.since >= HELLO_MS) this.violate(peer.id, "no hello within 5 s", now);
      for (const stream of peer.streams.values()) if (stream.due(now)) this.#ack(stream, now);
    }
    this.#cancels.tick(now);
    if (now - this.#sweptAt < Math.min(MAX_SWEEP_MS, this.rules.keepMs / 2)) return;
    this.#sweptAt = now;
    this.#sessions.sweep(now, this.rules.keepMs);
  }

  #handle(peer: Peer, frame: BridgeFrame, now: number): void {
    if ((peer.node === undefined) !== (frame.t === "hello")) throw new Violation("hello must come once, and first");
    switch (frame.t) {
      case "hello":
        if (frame.version !== 2) throw new Violation("version must be 2");
        peer.node = frame.node;
        return;
      case "open":
        return this.#open(peer, peer.node!, frame, now);
      case "cancel":
        return this.#cancel(peer, peer.node!, frame, now);
      case "text": {
        const utterance = this.#stream(peer, frame.s)?.utterance;
        if (utterance?.state !== "unfinished") return;
        const { t: _, s: __, words: ___, ...sentence } = frame;
        const news = utterance.sentences.take(frame);
        if (news.begins) this.#emit({ kind: "sentence", utterance, sentence });
        if (news.words.length > 0) this.#emit({ kind: "words", utterance, sentence, words: news.words });
        return;
      }
      case "audio":
        return this.#audio(this.#stream(peer, frame.s), frame, now);
      case "end":
        return this.#end(this.#stream(peer, frame.s), frame, now);
    }
  }

  /** The stream, or undefined if it is over: its frames were on their way. */
  #stream(peer: Peer, s: number): Stream | undefined {
    if (s > peer.top) throw new Violation(`stream ${s} was never opened`);
    return peer.streams.get(s);
  }

  #open(peer: Peer, node: string, open: Open, now: number): void {
    const { s, seq } = open;
    if (s <= peer.top) throw new Violation(`stream ${s} was used before`);
    peer.top = s;
    const refuse = (code: string, message: string) =>
      this.#emit({ kind: "send", connection: peer.id, frame: { t: "error", code, message, s } });
    const { isFull } = this.#sessions;
    if (isFull && this.#find({ node, session: open.session }) === undefined) return refuse("busy", "too many sessions");
    const session = this.#sessions.of(node, open.session);
    if (!session.admits(open.epoch, open.try)) {
      return refuse("stale_epoch", `session ${open.session} has had epoch ${session.epoch}, try ${session.try}`);
    }
    session.epoch = open.epoch;
    session.try = open.try;
    if (session.stream !== undefined) session.stream.utterance.at = now;
    session.leave();
    const known = session.utterances.get(seq);
    const refusal = this.#refusal(peer, session, known, open, isFull);
    if (refusal !== undefined) {
      session.save(now); // else a server that is restarted would admit what was superseded
      return refuse(...refusal);
    }
    session.finishBelow(seq, now);
    if (known === undefined) {
      session.add(Utterance.begin(node, open, this.fileOf({ node, session: open.session, seq }), now));
      this.#sessions.added();
    }
    const utterance = session.utterances.get(seq)!;
    session.save(now);
    session.saveUtterance(utterance, now);
    const stream = new Stream(peer, s, session, utterance, this.rules.credit, now);
    utterance.sentOn = { connection: peer.id, s };
    this.#emit({ kind: "send", connection: peer.id, frame: stream.opened() });
    if (utterance.state === "whole") {
      this.#ack(stream, now); // delivered: nothing of this stream counts any more
    } else {
      session.stream = stream;
      peer.streams.set(s, stream);
      session.announce(utterance);
    }
    session.pump(now); // what is lower may have ended
  }

  #refusal(peer: Peer, session: Session, known: Utterance | undefined, open: Open, isFull: boolean): [string, string] | undefined {
    if (known?.state === "cancelled" || (known === undefined && session.isCancelled(open.seq))) return ["cancelled", "the utterance was cancelled"];
    if (known !== undefined && !known.matches(open)) return ["refused", `sequence ${open.seq} belongs to another request`];
    if (known?.state === "whole") return undefined;
    if (known === undefined && open.seq < session.top) return ["refused", `sequence ${session.top} of the session was opened before`];
    if (!this.rules.formats.includes(open.format)) return ["refused", `format ${open.format} cannot be used`];
    const unfinished = [...peer.streams.values()].filter((stream) => stream.utterance.state === "unfinished").length;
    if ((isFull && known === undefined) || unfinished >= this.rules.streams) return ["busy", "too many streams"];
    return undefined;
  }

  #audio(stream: Stream | undefined, { at, data, crc }: Audio, now: number): void {
    if (stream === undefined) return;
    const { utterance, session } = stream;
    if (this.rules.crc && crc === undefined) throw new Violation("crc is missing");
    if (this.rules.crc && crc32(data) !== crc) return this.#ack(stream, now);
    const end = at + data.length;
    if (end > stream.limit) throw new Violation(`audio up to ${end} is above the limit ${stream.limit}`);
    if (utterance.size !== undefined && end > utterance.size) throw new Violation(`audio up to ${end} is above the size ${utterance.size}`);
    if (utterance.state !== "unfinished") return;
    const arrival = utterance.arrive(at, data);
    if (arrival.bytes.length > 0) {
      this.#emit({ kind: "save", change: { kind: "bytes", of: utterance.record, at: arrival.at, bytes: arrival.bytes } });
      utterance.completeIfWhole();
      session.saveUtterance(utterance, now);
      session.pump(now);
    }
    if (stream.arrived(data.length, now) || arrival.urgent || utterance.upto === utterance.size) this.#ack(stream, now);
  }

  #end(stream: Stream | undefined, { status, size, ms }: End, now: number): void {
    if (stream === undefined) return;
    const { utterance, session } = stream;
    if (utterance.size !== undefined && utterance.size !== size) throw new Violation(`end with size ${size} came after one with ${utterance.size}`);
    if (size < utterance.highest) throw new Violation(`end with size ${size} came after audio up to ${utterance.highest}`);
    if (utterance.size === undefined) {
      Object.assign(utterance, { size, status, ms });
      utterance.completeIfWhole();
      session.saveUtterance(utterance, now);
      session.pump(now);
    }
    this.#ack(stream, now);
  }

  #cancel(peer: Peer, node: string, cancel: Cancel, now: number): void {
    const refuse = (code: string, message: string) =>
      this.#emit({ kind: "send", connection: peer.id, frame: { t: "error", code, message, session: cancel.session } });
    const isNew = this.#sessions.find(node, cancel.session) === undefined || cancel.seq !== undefined;
    if (isNew && this.#sessions.isFull) return refuse("busy", "too many sessions");
    const session = this.#sessions.of(node, cancel.session);
    if (cancel.epoch < session.epoch) return refuse("stale_epoch", `session ${cancel.session} has had epoch ${session.epoch}`);
    session.note(cancel, now);
    if (cancel.seq !== undefined) this.#sessions.added();
    const key = cancelKey(cancel);
    for (const utterance of session.utterances.values()) {
      const { seq } = utterance.record;
      if (seq !== cancel.seq && seq >= (cancel.before ?? 0)) continue;
      if (utterance.state !== "cancelled" && !this.#isOver(utterance, now)) session.cancel(utterance, key, now);
    }
    this.#cancels.begin(peer.id, cancel, [...session.utterances.values()].filter((utterance) => utterance.cancel === key), now);
    session.pump(now); // what stands behind it may be given now
  }

  /** Whether the phone has played it. Without reports of the application its duration says so. */
  #isOver(utterance: Utterance, now: number): boolean {
    if (utterance.done) return true;
    return !this.rules.played && utterance.playsUntil !== undefined && now >= utterance.playsUntil;
  }

  #ack(stream: Stream, now: number): void {
    this.#emit({ kind: "send", connection: stream.peer.id, frame: stream.ack(now) });
  }

  #find(of: { node: string; session: string }): Session | undefined {
    return this.#sessions.find(of.node, of.session);
  }
}
