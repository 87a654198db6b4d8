/**
 * What the console knows of each utterance: reports with the server's times, and what this browser saw itself.
 *
 * All times are milliseconds of this browser's clock (`now()` in audio.js). The server's are moved by the smallest
 * difference ever seen between an event's arrival and its time of storing, which is off by the way of one event at most.
 */

const MOST = 200;
export const FINAL = new Set(["delivered", "failed", "cancelled", "expired", "refused"]);

/** One utterance. */
export class Utterance {
  constructor(session, request, after) {
    this.after = after; // the newest place known when it was new here
    this.session = session;
    this.request = request;
    this.report = null;
    this.requestedAt = null; // stored by the node
    this.claimedAt = null;
    this.synthesizedAt = null;
    this.endedAt = null;
    this.confirmed = []; // {at, chunks}: progress of the delivery
    this.call = null; // {at, answeredAt, until, status, awaits, sent, asked} of this browser's own call
    this.track = null; // what is heard of it here
    this.heard = null; // the record of what its listener has heard
    this.refusal = null; // ApiError of the call
    this.unsent = false; // cancelled here before it was sent
  }

  get key() {
    return keyOf(this.session, this.request);
  }

  get status() {
    if (this.unsent) return "cancelled";
    if (this.refusal) return "refused";
    return this.report?.status ?? "asked";
  }

  get final() {
    return FINAL.has(this.status);
  }

  /** Whether a cancel has something to end: the node works on it, or its listener hears what was delivered. */
  get goesOn() {
    const { heard, report, status } = this;
    return !this.final || (status === "delivered" && heard?.done === false && heard.requestSeq === report?.requestSeq);
  }

  /** The record of what was heard, if a cancel has cut it and the record has both parts of the text. */
  get cut() {
    const { heard, report } = this;
    if (!heard?.done || heard.cancelSeq === null || heard.requestSeq !== report?.requestSeq) return null;
    return heard.heardText === null || heard.unheardText === null ? null : heard;
  }

  /** Its place in the list: the newest first. */
  get order() {
    return this.report?.requestSeq ?? this.after + 0.5;
  }
}

/** The name of an utterance in this page. */
export function keyOf(session, request) {
  return `${session}\u0000${request}`;
}

/** All utterances. `onFinal(utterance)` is called once for each that ends while the page looks on. */
export class Utterances {
  constructor(onFinal) {
    this.all = new Map();
    this.onFinal = onFinal;
  }

  #heard = new Map(); // the newest records by key, also those that come before their utterance

  /** A record of what was heard. It may come before the utterance is known here. */
  listened(record) {
    const key = keyOf(record.sessionId, record.requestId);
    if (record.requestSeq < (this.#heard.get(key)?.requestSeq ?? 0)) return;
    this.#heard.delete(key);
    this.#heard.set(key, record);
    if (this.#heard.size > MOST) this.#heard.delete(this.#heard.keys().next().value);
    const utterance = this.all.get(key);
    if (utterance) utterance.heard = record;
  }

  #offset = Infinity; // this browser's clock less the server's, in ms

  /** The utterance of these ids, made when it is new. */
  of(session, request) {
    const key = keyOf(session, request);
    let found = this.all.get(key);
    if (!found) {
      const places = [...this.all.values()].map(({ order }) => order);
      this.all.set(key, (found = new Utterance(session, request, Math.floor(Math.max(0, ...places)))));
      found.heard = this.#heard.get(key) ?? null;
    }
    return found;
  }

  /** An event that has just arrived: it also sets the clock. */
  arrived(event, at) {
    this.#offset = Math.min(this.#offset, at - event.storedAt * 1000);
    this.#apply(event, true);
  }

  /** A line of `/api/node`, as of `asOf` (seconds of the NATS server's clock), known at `at`. */
  stands(line, asOf, at) {
    if (this.#offset === Infinity) this.#offset = at - asOf * 1000;
    if (line.requestedAt) {
      const utterance = this.of(line.report.sessionId, line.report.requestId);
      utterance.requestedAt ??= this.#here(line.requestedAt);
    }
    this.#apply(line, false);
  }

  /** A report that the gateway answered with, at `at`: when it was stored is not known. */
  answered(report, at) {
    this.#apply({ storedAt: null, report }, false, at);
  }

  /** Newest first. */
  get list() {
    return [...this.all.values()].sort((a, b) => b.order - a.order);
  }

  /** Those that are not final, oldest first, by session. */
  get bySession() {
    const sessions = new Map();
    for (const utterance of this.list.reverse()) {
      if (utterance.final) continue;
      sessions.set(utterance.session, [...(sessions.get(utterance.session) ?? []), utterance]);
    }
    return sessions;
  }

  #here(seconds) {
    return seconds * 1000 + this.#offset;
  }

  #apply({ storedAt, report }, live, known = null) {
    let utterance = this.of(report.sessionId, report.requestId);
    if (utterance.report && utterance.report.requestSeq !== report.requestSeq) {
      // A duplicate of the same hour is queued and never spoken; after that hour the id is a new utterance.
      if (report.status === "queued" || report.requestSeq < utterance.report.requestSeq) return;
      this.all.delete(utterance.key);
      utterance = this.of(report.sessionId, report.requestId);
    }
    if (utterance.final && !utterance.refusal) return; // a final report is never overwritten
    const at = known ?? this.#here(storedAt);
    const before = utterance.report;
    if (report.status === "queued") {
      utterance.requestedAt = at;
      utterance.report ??= report;
      return;
    }
    utterance.report = report;
    utterance.refusal = null;
    // Only what was seen to change has a time; what stood already is reckoned from the report in steps.js.
    if (live && (!before || before.status === "queued")) utterance.claimedAt ??= at;
    if (live && report.totalChunks !== null && before?.totalChunks === null) utterance.synthesizedAt ??= at;
    if (live && report.deliveredChunks > (before?.deliveredChunks ?? 0)) {
      utterance.confirmed.push({ at, chunks: report.deliveredChunks });
    }
    if (utterance.final) {
      utterance.endedAt = at;
      if (utterance.call?.awaits) utterance.call.until ??= at;
      if (live) this.onFinal(utterance);
      this.#forget();
    }
  }

  #forget() {
    for (const utterance of this.list.slice(MOST)) {
      if (utterance.final && (!utterance.track || utterance.track.done)) this.all.delete(utterance.key);
    }
  }
}
