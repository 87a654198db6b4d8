/**
 * What the user asks the node for: to speak, to be heard, to cancel.
 *
 * No call waits for speech. A browser has six connections to a gateway, and one that is held for the length of an
 * utterance is one that a cancel may need: events hold one, the audio of two tracks two, what is asked (one at a time)
 * one, looks at the node (one at a time) one. So a cancel always finds one free. Who wants to wait for the end of an
 * utterance waits for its event.
 */

import { ApiError, rest } from "./api.js";
import { now } from "./audio.js";

const STORED_WITHIN_MS = 5_000;

/** Acts by `api`, `player` and `utterances`; `on.change()`, `on.accepted(utterance)`, `on.error(error, utterance)`. */
export class Speech {
  constructor(api, player, utterances, on) {
    this.api = api;
    this.player = player;
    this.utterances = utterances;
    this.on = on;
  }

  #asked = Promise.resolve(); // what was asked last; the next one is sent after its answer

  /** Ask for a request, by its wire fields. `hear` it here; the call `awaits` its end, or only its acceptance. */
  async speak(request, { hear, awaits }) {
    this.player.unlock();
    const utterance = this.utterances.of(request.sessionId, request.requestId);
    utterance.call = { at: now(), answeredAt: null, until: null, status: 0, awaits, sent: false };
    const asked = this.#asked.then(() => this.#ask(utterance, request));
    this.#asked = asked.catch(() => null);
    utterance.call.asked = this.#asked;
    if (hear) this.listen(utterance, asked);
    this.on.change();
    try {
      await asked;
      if (!awaits && !utterance.unsent) this.on.accepted(utterance);
    } catch (error) {
      utterance.call.status = error.status;
      utterance.call.until = now();
      if (!utterance.report) {
        utterance.refusal = error; // nothing was stored, as far as is known
        this.player.stop(utterance.key);
      }
      this.on.error(error, utterance);
    }
    this.on.change();
  }

  /** The place of the request in the order of everything asked, or null when it was cancelled before its turn. */
  async #ask(utterance, request) {
    const { call } = utterance;
    if (utterance.unsent) return null;
    call.sent = true;
    const { status, body } = await this.api.call("POST", "api/convert-tts/", request);
    call.status = status;
    call.answeredAt = now();
    if (!call.awaits) call.until = call.answeredAt;
    // An event may have told more of it by now; the acceptance tells its place at least.
    utterance.report ??= { ...body, transport: request.transport, totalChunks: null, deliveredChunks: 0, rtf: null, error: null };
    utterance.requestedAt ??= (call.at + call.answeredAt) / 2;
    return body.requestSeq;
  }

  /** Hear an utterance here; one that is only being asked for (`asked`) may not be stored yet. */
  listen(utterance, asked = Promise.resolve()) {
    if (utterance.track && !utterance.track.done) return;
    utterance.track = this.player.listen(utterance.key, utterance.request, async (signal) => {
      await Promise.race([asked, this.#stored(utterance, signal)]);
      const until = now() + STORED_WITHIN_MS;
      for (;;) {
        try {
          return await this.api.audio(utterance.session, utterance.request, signal);
        } catch (error) {
          if (signal.aborted || !(error instanceof ApiError)) throw error;
          const waits = error.code === "wait_timeout" && !utterance.final; // others are spoken before it
          const early = (error.status === 404 || error.broken) && now() < until;
          if (!waits && !early) throw error;
          await rest(50, signal);
        }
      }
    });
    this.on.change();
  }

  /** Until an event says that the node has the request; the answer to the call may come later. */
  async #stored(utterance, signal) {
    while (!utterance.report && !signal.aborted) await rest(10, signal);
  }

  /** Cancel all that a session has asked so far, or one request of it. */
  async cancel(session, request = null) {
    const cut = this.utterances.list.filter((one) => one.session === session && (request === null || one.request === request));
    for (const utterance of cut) {
      this.player.stop(utterance.key);
      if (utterance.call && !utterance.call.sent) this.#drop(utterance);
    }
    this.on.change();
    const onTheWay = cut.filter(({ call }) => call?.sent && call.answeredAt === null && call.until === null);
    try {
      if (request === null || !cut.every(({ unsent }) => unsent)) await this.#cancel(session, request, onTheWay);
    } catch (error) {
      this.on.error(error, null);
    }
  }

  /** A cancel covers what was stored before it; what was on its way then, and came later, is cancelled by its name. */
  async #cancel(session, request, onTheWay) {
    const path = `api/cancel/${encodeURIComponent(session)}`;
    const { body } = await this.api.call("POST", path, request === null ? {} : { requestId: request });
    for (const utterance of onTheWay) {
      const place = await utterance.call.asked;
      if (place > body.cancelSeq) await this.api.call("POST", path, { requestId: utterance.request });
    }
  }

  /** It has not been sent yet, and will not be. */
  #drop(utterance) {
    utterance.unsent = true;
    utterance.endedAt = utterance.call.until = now();
  }
}
