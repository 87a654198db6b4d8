/** How far the delivery of the selected utterance is: a bar, and the same in words. */

import { byId, svg, write } from "./element.js";
import { duration, t } from "./i18n.js";

const WIDTH = 1000; // of the drawing, which is as wide as its place

/** Draws into `#delivery`. `onChange()` is called when there is something new to draw. */
export class DeliveryBar {
  constructor(api, onChange) {
    this.api = api;
    this.onChange = onChange;
    this.place = byId("delivery");
    this.rects = Object.fromEntries(["sent", "acked", "played"].map((name) => [name, svg("rect", { class: name, height: 10 })]));
    byId("delivery-bar").append(...Object.values(this.rects));
  }

  #key = null; // of the utterance that is followed
  #following = new AbortController();
  #newest = null;

  /** Follow this utterance, or none; call it as often as you like. What was followed before ends. */
  show(utterance) {
    const followed = utterance && utterance.report && utterance.report.transport === "websocket" ? utterance : null;
    const key = followed && `${followed.key}\u0000${followed.report.requestSeq}`;
    if (key === this.#key) return;
    this.#following.abort();
    this.#following = new AbortController();
    this.#key = key;
    this.#newest = null;
    if (followed) this.#follow(followed, this.#following.signal);
  }

  /** A new key: what is followed begins again. */
  restart() {
    this.show(null);
  }

  #follow({ session, request }, signal) {
    this.api.followRequest(session, request, signal, {
      progress: (progress) => {
        if (signal.aborted) return; // another utterance is selected
        this.#newest = progress;
        this.onChange();
      },
    });
  }

  /** Draw what is known. Without any progress nothing is shown. */
  draw() {
    const seen = this.#newest;
    this.place.hidden = seen === null;
    if (seen === null) return;
    const whole = Math.max(1, seen.totalMs ?? 0, seen.sentMs);
    const reached = { sent: seen.sentMs, acked: seen.ackedMs, played: seen.playedMs ?? 0 };
    for (const [name, ms] of Object.entries(reached)) {
      this.rects[name].setAttribute("width", Math.round((Math.min(ms, whole) / whole) * WIDTH));
    }
    const known = (ms) => (ms === null ? "?" : duration(ms));
    const words = { sent: known(seen.sentMs), acked: known(seen.ackedMs), played: known(seen.playedMs), total: known(seen.totalMs) };
    const again = seen.retransmittedBytes ? t("delivery.again", { bytes: Math.ceil(seen.retransmittedBytes / 1000) }) : "";
    write(byId("delivery-words"), t("delivery.words", words) + again);
  }
}
