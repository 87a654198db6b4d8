/** The list of utterances, newest first, each with its small waterfall; one of them can be looked at closely. */

import { byId, html, write } from "./element.js";
import { endOf, line, wordsOf } from "./errors.js";
import { isolated, visible } from "./foreign.js";
import { shortCutText } from "./heard.js";
import { duration, t, timeOfDay } from "./i18n.js";
import { beganAt, firstAudioMs, wholeMs } from "./steps.js";
import { smallFall } from "./waterfall.js";

/** How often what goes on is drawn: each time costs the layout of the table, so all rows change at the same moment. */
export const STEP_MS = 500;

/** Draws into `#list`. `on.seen()` when rows have come into view, `on.select(key)`, `on.listen(utterance)`, `on.cancel(utterance)`. */
export class List {
  constructor(on) {
    this.on = on;
    this.body = byId("list").tBodies[0];
    this.empty = byId("list").parentElement.querySelector(".empty");
    this.rows = new Map();
    this.sight = new IntersectionObserver((entries) => this.#seen(entries));
  }

  #byLine = new WeakMap();

  /** Rows out of view have no waterfall drawn: with hundreds of them that would be most of the work. */
  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const row = this.#byLine.get(target);
      if (row) row.inView = isIntersecting;
    }
    this.on.seen();
  }

  /** Show these. Only what has changed is drawn again, and no row loses the focus. */
  draw(utterances, selected, now) {
    const keys = new Set(utterances.map(({ key }) => key));
    for (const [key, row] of this.rows) {
      if (keys.has(key)) continue;
      row.line.remove();
      this.sight.unobserve(row.line);
      this.rows.delete(key);
    }
    let place = this.body.firstElementChild;
    for (const utterance of utterances) {
      let row = this.rows.get(utterance.key);
      if (!row) {
        row = this.#make(utterance);
        this.rows.set(utterance.key, row);
        this.#byLine.set(row.line, row);
        this.sight.observe(row.line);
      }
      if (row.line === place) place = place.nextElementSibling;
      else this.body.insertBefore(row.line, place);
      const drawn = this.#stateOf(row, utterance, selected === utterance.key, now);
      if (row.drawn === drawn) continue;
      row.drawn = drawn;
      this.#write(row, utterance, selected === utterance.key, now);
    }
    byId("list").hidden = utterances.length === 0;
    this.empty.hidden = utterances.length > 0;
    write(byId("utterances-count"), String(utterances.length));
  }

  #make(utterance) {
    const { session, request } = utterance;
    const cells = {
      name: html("button", { type: "button", class: "link-like", title: `${isolated(session)} / ${isolated(request)}`, onclick: () => this.on.select(utterance.key) },
        html("bdi", { class: "session" }, visible(session)), " / ", html("bdi", {}, visible(request))),
      cut: html("p", { class: "cut", hidden: true }),
      at: html("time"),
      status: html("td", { class: "status" }),
      via: html("td", { class: "via" }),
      fall: html("td", { class: "fall" }),
      first: html("td", { class: "number" }),
      whole: html("td", { class: "number" }),
      length: html("td", { class: "number" }),
      listen: html("button", { type: "button", onclick: () => this.on.listen(utterance) }),
      cancel: html("button", { type: "button", onclick: () => this.on.cancel(utterance) }),
    };
    const actions = html("td", { class: "actions" }, cells.listen, cells.cancel);
    const { name, cut, at, status, via, fall, first, whole, length } = cells;
    const line = html("tr", {}, html("th", { scope: "row", class: "id" }, name, cut), html("td", { class: "at" }, at), status, via, fall, first, whole, length, actions);
    return { line, drawn: "", inView: false, ...cells };
  }

  /** All that a row shows; while it is the same there is nothing to draw. In view, what goes on moves by STEP_MS. */
  #stateOf({ inView }, utterance, selected, now) {
    const { report, track, status, requestedAt, endedAt, cut } = utterance;
    const going = !utterance.final || (track && !track.done);
    const moves = inView && (going ? Math.floor(now / STEP_MS) : report?.deliveredChunks);
    const sound = [report?.audioSeconds, report?.firstAudioMs, track?.state, track?.arrivals.length > 0];
    const heard = [utterance.goesOn, cut?.cancelSeq, cut?.playedMs, cut?.heardText.length];
    const at = [beganAt(utterance), new Date(now).toDateString()];
    return JSON.stringify([inView, status, selected, requestedAt, endedAt, at, moves, sound, heard, document.documentElement.lang]);
  }

  #write(row, utterance, selected, now) {
    const { report, track } = utterance;
    row.line.classList.toggle("selected", selected);
    row.name.ariaExpanded = String(selected);
    row.name.setAttribute("aria-controls", "detail");
    statusCell(row.status, utterance.status);
    row.cut.hidden = !utterance.cut;
    row.cut.replaceChildren(...(utterance.cut ? shortCutText(utterance.cut) : []));
    const wrong = utterance.refusal ? wordsOf(utterance.refusal) : report?.error ? endOf(utterance) : null;
    row.status.title = wrong ? line(wrong) : "";
    const began = beganAt(utterance);
    const shown = timeOfDay(began, now);
    write(row.at, shown);
    if (shown !== "–") row.at.dateTime = new Date(began).toISOString();
    write(row.via, report?.transport ? t(`via.${report.transport}`) : "–");
    write(row.first, duration(firstAudioMs(utterance)));
    write(row.whole, duration(wholeMs(utterance, now)));
    write(row.length, report?.audioSeconds ? duration(report.audioSeconds * 1000) : "–");
    write(row.listen, t("listen"));
    row.listen.ariaLabel = t("listen.to", { request: utterance.request });
    row.listen.hidden = !report || utterance.refusal || utterance.status === "expired" || report.error?.code === "invalid_request"
      || (utterance.status === "delivered" && report.totalChunks === 0); // its text has nothing to say
    row.listen.disabled = Boolean(track && !track.done);
    write(row.cancel, t("cancel"));
    row.cancel.ariaLabel = t("cancel.one", { request: utterance.request });
    row.cancel.hidden = !utterance.goesOn;
    if (row.inView) row.fall.replaceChildren(smallFall(utterance, now));
  }
}

/** Fill a cell with a status: its dot and its word. */
export function statusCell(cell, status, about = "") {
  const words = t(`status.${status}`);
  if (cell.dataset.status === status && cell.title === about && cell.textContent === words) return;
  cell.dataset.status = status;
  if (about) cell.title = about;
  cell.replaceChildren(html("span", { class: `dot ${status}`, "aria-hidden": "true" }), words);
}
