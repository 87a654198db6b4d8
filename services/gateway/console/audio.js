/**
 * Hearing: tracks one after the other, each scheduled while it arrives, sample after sample without a gap.
 *
 * Buffers are scheduled in a context that has the speech's own sample rate, so nothing is resampled at their borders.
 * An AudioWorklet would need a secure context, and a gateway inside a network speaks plain HTTP.
 */

import { SampleReader, STREAMED } from "./samples.js";

const LEAD_S = 0.06; // between scheduling and sounding, for the first samples and after running dry
const MARGIN_S = 0.015; // what is scheduled closer to now would begin late, and sound over what follows it
const AHEAD_S = 10; // scheduled before it sounds, and held of the track behind: what the network may fail for unheard
const SLICE_S = 1; // of one buffer, at most: the next one is scheduled long before the last one of AHEAD_S has ended
const OPEN = 2; // tracks whose audio is read: the one in front and the next
const FIRST_RATE_HZ = 22_050;

/** The clock of everything here: milliseconds since 1970, monotonic within the page. */
export const now = () => performance.timeOrigin + performance.now();

/** What is heard of one utterance. Times are of `now()`. */
export class Track {
  constructor(key, name) {
    this.key = key;
    this.name = name;
    this.arrivals = []; // {at, seconds} of each piece
    this.receivedS = 0;
    this.lengthS = 0; // of the whole, as far as its report says it
    this.beganS = 0; // in the time of its context
    this.firstHeardAt = null;
    this.lastHeardAt = null;
    this.cues = null; // of its captions, once they are known
    this.dry = 0;
    this.dryMs = 0;
    this.state = "waiting"; // playing, ended, stopped, failed
    this.error = null;
    this.abort = new AbortController();
    this.waiting = []; // samples not scheduled yet, in slices
    this.waitingS = 0;
    this.rate = 0;
    this.arrived = false; // all of it
  }

  get done() {
    return this.state === "ended" || this.state === "stopped" || this.state === "failed";
  }
}

/** Plays tracks in the order of `listen`. `onChange(track)` after whatever happened to one. */
export class Player {
  constructor(onChange) {
    this.onChange = onChange;
    this.tracks = []; // heard now, and to be heard
    this.#contexts = new Map();
  }

  #contexts;
  #rate = FIRST_RATE_HZ;
  #muted = false;
  #next = 0; // where the next sample goes, in the time of the context in use
  #sources = new Set();
  #waiting = []; // who waits until something has changed

  /** To be called by a click or a key: browsers let a page sound only then. */
  unlock() {
    this.#context(this.#rate).context.resume();
  }

  /** Whether the browser keeps the sound back until the user asks for it. */
  get blocked() {
    return this.tracks.length > 0 && this.#context(this.#rate).context.state === "suspended";
  }

  get muted() {
    return this.#muted;
  }

  set muted(value) {
    this.#muted = value;
    for (const { gain } of this.#contexts.values()) gain.gain.value = value ? 0 : 1;
  }

  /** The waveform that sounds now, for whoever draws it. */
  get analyser() {
    return this.#context(this.#rate).analyser;
  }

  /** Seconds of the track in front that have sounded. */
  get playedS() {
    const track = this.tracks[0];
    if (!track || track.firstHeardAt === null) return 0;
    const passedS = this.#context(track.rate).context.currentTime - track.beganS - track.dryMs / 1000;
    return Math.max(0, Math.min(track.receivedS, passedS));
  }

  /**
   * Hear the audio that `open(signal)` gives: `{format, rate, pieces}`. Returns its track at once; never raises.
   *
   * It is opened when only one track is before it: each open one holds a connection, and a browser has few.
   */
  listen(key, name, open) {
    const track = new Track(key, name);
    this.tracks.push(track);
    this.#receive(track, open).catch((error) => {
      track.error = error;
      track.arrived = true; // what has come before still sounds
      this.#schedule();
    });
    return track;
  }

  /** Silence a track, or all of them: what sounds stops, what waits is dropped. */
  stop(key = null) {
    for (const track of this.tracks.filter((track) => key === null || track.key === key)) {
      if (this.tracks[0] === track) this.#silence();
      this.#end(track, "stopped");
    }
  }

  async #receive(track, open) {
    await this.#until(() => track.done || this.tracks.indexOf(track) < OPEN);
    if (track.done) return;
    const { format, rate, pieces } = await open(track.abort.signal);
    if (!STREAMED.has(format)) return this.#decode(track, pieces, format);
    const reader = new SampleReader(format, rate);
    for await (const piece of pieces) {
      const samples = reader.push(piece);
      if (samples.length) this.#arrived(track, samples, reader.rate);
      // What is not read stays at the gateway, and minutes of speech do not lie here as samples. A gateway drops who
      // takes nothing for 20 s, as the track behind may: api.js then asks again and goes on where it was.
      await this.#until(() => track.done || track.waitingS <= (track === this.tracks[0] ? 0 : AHEAD_S));
    }
    track.arrived = true;
    this.#schedule();
  }

  /** A coded file can be heard once it is whole. */
  async #decode(track, pieces, format) {
    const parts = [];
    for await (const piece of pieces) parts.push(piece);
    const whole = await new Blob(parts).arrayBuffer();
    const { context } = this.#context(this.#rate);
    const buffer = await context.decodeAudioData(whole).catch(() => {
      throw Object.assign(new Error(format), { code: "unplayable" });
    });
    track.arrived = true;
    this.#arrived(track, buffer.getChannelData(0), buffer.sampleRate);
  }

  #arrived(track, samples, rate) {
    if (track.done) return;
    track.rate = rate;
    track.receivedS += samples.length / rate;
    track.arrivals.push({ at: now(), seconds: samples.length / rate });
    const slice = Math.round(SLICE_S * rate);
    for (let at = 0; at < samples.length; at += slice) track.waiting.push(samples.subarray(at, at + slice));
    track.waitingS += samples.length / rate;
    this.#schedule();
    this.onChange(track);
  }

  /** Schedule AHEAD_S of the track in front; a track that is all scheduled makes way when it has sounded. */
  #schedule() {
    const track = this.tracks[0];
    if (!track) return;
    while (track.waiting.length && this.#aheadS(track) < AHEAD_S) this.#sound(track, track.waiting.shift());
    this.#wake();
    if (track.arrived && !this.#sources.size && !track.waiting.length) this.#end(track, track.error ? "failed" : "ended");
  }

  /** Seconds that are scheduled and have not sounded. */
  #aheadS(track) {
    return track.firstHeardAt === null ? 0 : this.#next - this.#context(track.rate).context.currentTime;
  }

  async #until(condition) {
    while (!condition()) await new Promise((wake) => this.#waiting.push(wake));
  }

  #wake() {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #sound(track, samples) {
    const { context, gain } = this.#context(track.rate);
    track.waitingS = track.waiting.length ? track.waitingS - samples.length / track.rate : 0;
    this.#rate = track.rate;
    const buffer = context.createBuffer(1, samples.length, track.rate);
    buffer.copyToChannel(samples, 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(gain);
    source.onended = () => {
      this.#sources.delete(source);
      this.#schedule();
    };
    this.#sources.add(source);
    const reached = context.currentTime;
    if (track.firstHeardAt === null) {
      this.#next = track.beganS = reached + LEAD_S;
      track.firstHeardAt = now() + LEAD_S * 1000;
      track.state = "playing";
    } else if (this.#next < reached + MARGIN_S) {
      track.dry += 1;
      track.dryMs += (reached + LEAD_S - this.#next) * 1000;
      this.#next = reached + LEAD_S;
    }
    // On the grid of samples, so that one buffer begins exactly where the last one ended.
    const frame = Math.round(this.#next * track.rate);
    source.start(frame / track.rate);
    this.#next = (frame + samples.length) / track.rate;
    track.lastHeardAt = now() + (this.#next - reached) * 1000;
  }

  #silence() {
    for (const source of this.#sources) {
      source.onended = null;
      source.stop();
    }
    this.#sources.clear();
  }

  #end(track, state) {
    if (track.done) return;
    if (state === "stopped" && track.lastHeardAt !== null) track.lastHeardAt = Math.min(track.lastHeardAt, now());
    track.state = state;
    track.abort.abort();
    track.waiting = [];
    track.waitingS = 0;
    this.tracks = this.tracks.filter((other) => other !== track);
    this.onChange(track);
    this.#schedule();
    this.#wake();
  }

  #context(rate) {
    let made = this.#contexts.get(rate);
    if (!made) {
      const context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
      const gain = context.createGain();
      const analyser = context.createAnalyser();
      analyser.fftSize = 1024;
      gain.gain.value = this.#muted ? 0 : 1;
      gain.connect(analyser).connect(context.destination);
      context.onstatechange = () => this.#changed(context);
      made = { context, gain, analyser };
      this.#contexts.set(rate, made);
    }
    return made;
  }

  /** A context that had to wait for the user has begun: only now is the track in front heard. */
  #changed(context) {
    const track = this.tracks[0];
    if (!track) return;
    if (context.state === "running" && track.firstHeardAt !== null && context.currentTime <= track.beganS) {
      const length = track.lastHeardAt - track.firstHeardAt;
      track.firstHeardAt = now() + (track.beganS - context.currentTime) * 1000;
      track.lastHeardAt = track.firstHeardAt + length;
    }
    this.onChange(track);
  }
}
