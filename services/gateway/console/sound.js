/** The sound card of the page: what plays, its words, its waveform, mute and stop. */

import { heardAt } from "./captions.js";
import { byId, write } from "./element.js";
import { duration, language, t } from "./i18n.js";

const CALM = matchMedia("(prefers-reduced-motion: reduce)");

/** Draws the state of a `Player`; its buttons work on it. */
export class Sound {
  constructor(player) {
    this.player = player;
    this.canvas = byId("scope");
    byId("mute").addEventListener("click", () => {
      player.muted = !player.muted;
      this.draw();
    });
    byId("stop").addEventListener("click", () => player.stop());
    byId("resume").addEventListener("click", () => player.unlock());
  }

  #drawing = false;

  /** Words and buttons as they are now; the waveform moves by itself as long as something plays. */
  draw() {
    const { player } = this;
    const [track, ...more] = player.tracks;
    write(byId("playing"), track ? this.#words(track, more.length) : t("sound.none"));
    this.#caption(track);
    byId("mute").ariaPressed = String(player.muted);
    byId("stop").disabled = !track;
    byId("resume").hidden = !player.blocked;
    if (track && !this.#drawing && !CALM.matches) {
      this.#drawing = true;
      requestAnimationFrame(() => this.#frame());
    }
    if (!track) this.#wave(null);
  }

  /** The line that is heard now, with its word marked. */
  #caption(track) {
    const heard = track?.cues ? heardAt(track.cues, this.player.playedS * 1000) : null;
    const line = byId("caption");
    line.hidden = !heard;
    const texts = heard ? [heard.before, heard.word, heard.after] : ["", "", ""];
    for (const [at, part] of [...line.children].entries()) write(part, texts[at]);
  }

  #words(track, more) {
    const digits = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
    const seconds = (value) => value.toLocaleString(language(), digits);
    const words = [
      track.state === "waiting"
        ? t("sound.waits", { request: track.name })
        : t("sound.plays", { request: track.name, played: seconds(this.player.playedS), received: seconds(Math.max(track.lengthS, track.receivedS)) }),
    ];
    if (track.dry) words.push(t("sound.dry", { count: track.dry, ms: duration(track.dryMs) }));
    if (more) words.push(t("sound.more", { count: more }));
    return words.join(" · ");
  }

  #frame() {
    if (!this.player.tracks.length) {
      this.#drawing = false;
      this.#wave(null);
      return;
    }
    this.#wave(this.player.analyser);
    requestAnimationFrame(() => this.#frame());
  }

  #wave(analyser) {
    const { width, height } = this.canvas;
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    pen.strokeStyle = getComputedStyle(this.canvas).color;
    pen.lineWidth = 2;
    pen.beginPath();
    const samples = new Float32Array(analyser ? analyser.fftSize : 2);
    analyser?.getFloatTimeDomainData(samples);
    for (const [i, sample] of samples.entries()) {
      pen.lineTo((i / (samples.length - 1)) * width, (height / 2) * (1 - Math.max(-1, Math.min(1, sample * 1.4))));
    }
    pen.stroke();
  }
}
