/** The console: events and calls in, tables and sound out. The other modules know nothing of each other's state. */

import { Alert } from "./alert.js";
import { Api, ApiError, rest } from "./api.js";
import { now, Player } from "./audio.js";
import { cuesOf } from "./captions.js";
import { byId, write } from "./element.js";
import { endOf, line, ofLink, wordsOf } from "./errors.js";
import { drawFigures } from "./figures.js";
import { isolated } from "./foreign.js";
import { cutText, cutWords } from "./heard.js";
import { duration, onLanguage, preferredLanguage, t, useLanguage } from "./i18n.js";
import { Keys } from "./keys.js";
import { Link } from "./link.js";
import { List, STEP_MS } from "./list.js";
import { DeliveryBar } from "./progress.js";
import { Sessions } from "./sessions.js";
import { Sound } from "./sound.js";
import { Count, suggest, useForm } from "./speak.js";
import { Speech } from "./speech.js";
import { wholeMs } from "./steps.js";
import { Utterances } from "./utterances.js";
import { fall } from "./waterfall.js";

const LOOK_EVERY_MS = 2_000;
const DRAWN_EVERY_MS = 100;

const api = new Api(() => keys.ask());
const player = new Player(onTrack);
const sound = new Sound(player);
const link = new Link(onLink);
const alert = new Alert();
const count = new Count(tell);
const utterances = new Utterances(onFinal);
const speech = new Speech(api, player, utterances, {
  change: () => draw(),
  accepted: ({ request }) => tell(t("told.accepted", { request })),
  error: (error, utterance) => alert.show(() => wordsOf(error), ofLink(error) && "link", utterance?.key),
});
const sessions = new Sessions((session) => speech.cancel(session));
const list = new List({
  seen: () => draw(),
  select: (key) => {
    selected = selected === key ? null : key;
    draw();
  },
  listen: (utterance) => {
    player.unlock();
    speech.listen(utterance);
  },
  cancel: (utterance) => speech.cancel(utterance.session, utterance.request),
});
const keys = new Keys(api, begin);
const delivery = new DeliveryBar(api, () => draw());

const heardAsked = new WeakSet(); // the utterances whose records were asked for
const captioned = new WeakSet(); // the tracks whose captions were asked for

let node = null;
let selected = null;
let followed = 0; // the sequence of reports behind which the events began
let life = new AbortController(); // of the events and looks of one key

/** Follow the node from now on; what an earlier call follows ends. */
function begin() {
  life.abort();
  life = new AbortController();
  delivery.restart();
  api.follow(life.signal, {
    hello: ({ resumed, reports }) => {
      if (resumed) return;
      followed = reports;
      catchUp();
    },
    report: (event) => {
      utterances.arrived(event, now());
      if (event.report.status === "cancelled") player.stop(utterances.of(event.report.sessionId, event.report.requestId).key);
      draw();
    },
    heard: ({ heard }) => {
      utterances.listened(heard);
      draw();
    },
    state: (state) => link.events(state),
  });
  watch(life.signal);
  suggest(api);
}

/** Look at the node again and again while somebody sees the page. */
async function watch(signal) {
  while (!signal.aborted) {
    if (!document.hidden) await look(signal);
    await rest(LOOK_EVERY_MS, signal);
  }
}

async function look(signal) {
  try {
    const { body } = await api.call("GET", "api/node");
    if (signal.aborted) return;
    node = body;
    link.looked(true);
    count.limit = body.limits?.textChars ?? null;
    for (const line of body.lines) utterances.stands(line, body.asOf, now());
    if (body.reports < followed) catchUp(); // what was written since this look and before the events, neither tells
  } catch (error) {
    node = null; // the link says what is wrong
    if (error.code === "unavailable") link.looked(false);
  }
  draw();
}

/** After a gap: ask what became of what was under way. */
async function catchUp() {
  for (const utterance of utterances.list.filter(({ final, report }) => !final && report)) {
    const path = `api/reports/${encodeURIComponent(utterance.session)}/${encodeURIComponent(utterance.request)}`;
    const answer = await api.call("GET", path).catch(() => null);
    if (answer) utterances.answered(answer.body, now());
    if (utterance.status === "delivered") alert.clear(utterance.key);
  }
  draw();
}

/** Ask once what was heard of an utterance that is looked at: its record may have come before this page. */
async function askHeard(utterance) {
  const may = utterance.report?.transport === "websocket" && ["cancelled", "delivered"].includes(utterance.status);
  if (!may || utterance.heard || heardAsked.has(utterance)) return;
  heardAsked.add(utterance);
  const path = `api/heard/${encodeURIComponent(utterance.session)}/${encodeURIComponent(utterance.request)}`;
  const answer = await api.call("GET", path).catch(() => null); // there may be none
  if (answer && !utterance.heard) utterances.listened(answer.body); // an event is newer than the answer
  draw();
}

// ---- what is said to the user

function onFinal(utterance) {
  if (utterance.status === "delivered") alert.clear(utterance.key);
  if (!utterance.call) return; // others' show in the list: on a busy node nobody could listen to all of them
  const { status, request } = utterance;
  tell(t(`told.${status}`, { request, message: line(endOf(utterance)), ms: duration(wholeMs(utterance, now())) }));
  if (status === "failed" || status === "expired") {
    alert.show(() => ({ ...endOf(utterance), what: t("error.of", { request, what: endOf(utterance).what }) }), utterance.key);
  }
}

function onTrack(track) {
  if (track.state === "failed" && track.error && !(track.error instanceof ApiError && track.error.status === 401)) {
    const own = [...utterances.all.values()].find(({ key }) => key === track.key);
    const { error } = track;
    if (error.code === "unplayable") alert.show(() => ({ what: t("sound.unplayable", { format: error.message }) }));
    else if (!own?.refusal && own?.status !== "cancelled" && own?.status !== "failed") {
      if (error instanceof ApiError) alert.show(() => wordsOf(error), error.broken && "link");
      else alert.show(() => ({ what: t("sound.broken", { request: track.name }) }));
    }
  }
  draw();
}

function tell(text) {
  byId("status").textContent = text;
}

function onLink(state, before) {
  if (state === "lost") node = null;
  if (state === "live") alert.clear("link");
  const bad = ["lost", "node"];
  if (bad.includes(state) || (state === "live" && bad.includes(before))) tell(t(`link.${state}`));
  draw();
}

/** Get the captions of what sounds, once, when its audio is made: before that the gateway would wait. */
async function caption(track) {
  const own = track && utterances.all.get(track.key);
  if (!own?.report || captioned.has(track) || (own.report.totalChunks === null && !own.final)) return;
  captioned.add(track);
  track.cues = await api.captions(own.session, own.request).then(cuesOf).catch(() => null); // it sounds without words, too
}

// ---- drawing, ten times a second at most: a busy node has more events than that

let timer = null;
let due = Infinity;
let drawnAt = 0;
let detailDrawn = "";
let cutDrawn = "";

/** Draw within `ms`, and as soon as that is possible by default. */
function draw(ms = 0) {
  const at = Math.max(performance.now() + ms, drawnAt + DRAWN_EVERY_MS);
  if (at >= due) return;
  due = at;
  clearTimeout(timer);
  timer = setTimeout(() => requestAnimationFrame(drawNow), at - performance.now());
}

function drawNow() {
  due = Infinity;
  drawnAt = performance.now();
  const time = now();
  const all = utterances.list;
  drawFigures(node);
  sessions.draw(utterances.bySession, time);
  list.draw(all, selected, time);
  for (const track of player.tracks) track.lengthS = utterances.all.get(track.key)?.report?.audioSeconds ?? 0;
  caption(player.tracks[0]);
  sound.draw();
  const chosen = all.find(({ key }) => key === selected);
  byId("detail").hidden = !chosen;
  delivery.show(chosen);
  delivery.draw();
  if (chosen) {
    write(byId("detail-name"), `${isolated(chosen.session)} / ${isolated(chosen.request)}`);
    askHeard(chosen);
    drawCut(chosen.cut);
    const going = !chosen.final || (chosen.track && !chosen.track.done);
    const drawn = JSON.stringify([chosen.key, chosen.status, chosen.call?.until, chosen.track?.state, chosen.requestedAt, going && Math.floor(time / 100), byId("fall").clientWidth, document.documentElement.lang]);
    if (drawn !== detailDrawn) byId("fall").replaceChildren(...fall(chosen, time, byId("fall").clientWidth));
    detailDrawn = drawn;
  }
  // What sounds, and what is looked at closely, moves smoothly; tables move by their own step.
  if (player.tracks.length || (chosen && !chosen.final)) draw(DRAWN_EVERY_MS);
  else if (all.some(({ final }) => !final)) draw(STEP_MS);
}

function drawCut(cut) {
  const drawn = JSON.stringify([cut, document.documentElement.lang]);
  if (drawn === cutDrawn) return;
  cutDrawn = drawn;
  byId("cut").hidden = byId("cut-how").hidden = !cut;
  byId("cut").replaceChildren(...(cut ? cutText(cut) : []));
  write(byId("cut-how"), cut ? cutWords(cut) : "");
}

const chooser = byId("language");
chooser.addEventListener("change", () => {
  sessionStorage.setItem("orastream.language", chooser.value);
  useLanguage(chooser.value);
});
new ResizeObserver(() => draw()).observe(byId("fall"));
onLanguage(() => draw());
useLanguage(preferredLanguage());
chooser.value = document.documentElement.lang;
useForm((request, options) => {
  alert.clear();
  selected = utterances.of(request.sessionId, request.requestId).key;
  speech.speak(request, options);
});
begin();
