/** The waterfall of an utterance: a line in the list, and the large one with its table, which says the same in words. */

import { html, svg } from "./element.js";
import { endOf, line } from "./errors.js";
import { duration, language, t } from "./i18n.js";
import { stepsOf, tick } from "./steps.js";

const LANES = ["call", "waiting", "synthesis", "delivery", "hearing"];
const LANE = 24; // px
const LABEL = 104;
const TOP = 22;
const LEAST_WIDTH = 300;
const SMALL = { width: 180, height: 18, lanes: { waiting: [2, 5], synthesis: [2, 5], delivery: [8, 5], hearing: [14, 3] } };

/** The small one, in three thin lanes. Its row says the numbers, so it is not read aloud. */
export function smallFall(utterance, now) {
  const { end, steps, marks } = stepsOf(utterance, now);
  const x = (ms) => round((ms / end) * SMALL.width);
  const drawn = steps
    .filter(({ name }) => name in SMALL.lanes)
    .map(({ name, from, to }) => bar(name, x(from), SMALL.lanes[name][0], Math.max(1.5, x(to) - x(from)), SMALL.lanes[name][1]));
  const ticks = marks
    .filter(({ name }) => name === "first")
    .map(({ at }) => svg("rect", { class: "mark first", x: x(at), y: 1, width: 1.5, height: 16 }));
  const size = { viewBox: `0 0 ${SMALL.width} ${SMALL.height}`, class: "small", "aria-hidden": "true", preserveAspectRatio: "none" };
  return svg("svg", size, ...drawn, ...ticks);
}

/** The large one, `width` pixels wide, and its table. */
export function fall(utterance, now, width) {
  const found = stepsOf(utterance, now);
  return [drawing(utterance, found, Math.max(LEAST_WIDTH, Math.round(width))), table(utterance, found)];
}

function drawing(utterance, { end, steps, marks }, width) {
  const lanes = LANES.filter((name) => steps.some((step) => step.name === name) || (name === "hearing" && marks.some((mark) => mark.step === name)));
  const height = TOP + lanes.length * LANE + 4;
  const x = (ms) => round(LABEL + (ms / end) * (width - LABEL - 24));
  const parts = [];
  const distance = tick(end, Math.max(2, width / 120));
  for (let at = 0; at <= end; at += distance) {
    parts.push(svg("line", { class: "grid", x1: x(at), x2: x(at), y1: TOP - 4, y2: height }));
    parts.push(svg("text", { class: "scale", x: x(at), y: 11, "text-anchor": "middle" }, at ? scale(at, distance) : "0"));
  }
  for (const [row, name] of lanes.entries()) {
    const y = TOP + row * LANE;
    parts.push(svg("text", { class: "lane", x: 0, y: y + 15 }, t(`step.${name}`)));
    for (const { from, to, open } of steps.filter((step) => step.name === name)) {
      parts.push(bar(name, x(from), y + 4, Math.max(2, x(to) - x(from)), 14, open));
    }
    for (const { at } of marks.filter((mark) => mark.step === name)) {
      parts.push(svg("rect", { class: "mark chunk", x: x(at), y: y + 19, width: 1.5, height: 4 }));
    }
  }
  for (const { name, at } of marks.filter((mark) => mark.name !== "chunk")) {
    parts.push(svg("line", { class: `mark ${name}`, x1: x(at), x2: x(at), y1: TOP - 4, y2: height }));
  }
  const label = t("fall.label", {
    request: utterance.request,
    status: t(`status.${utterance.status}`),
    steps: steps.map(({ name, from, to }) => spoken(name, from, to)).join(", "),
  });
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "large", role: "img", "aria-label": label }, ...parts);
}

/** A number of the scale, as short as the distance of its lines allows. */
function scale(at, distance) {
  if (at < 1000) return duration(Math.round(at));
  return t("s", { n: (at / 1000).toLocaleString(language(), { maximumFractionDigits: distance < 1000 ? 1 : 0 }) });
}

function spoken(name, from, to) {
  return t("fall.step", { name: t(`step.${name}`), from: duration(from), took: duration(to - from) });
}

function table(utterance, { steps, marks }) {
  const rows = steps.map(({ name, from, to, open }) =>
    row(name, from, open ? null : to - from, whatOf(utterance, name)),
  );
  const first = marks.find(({ name }) => name === "first");
  const end = marks.find(({ name }) => name === "end");
  if (first) rows.push(row("first", first.at, undefined, ""));
  if (end) rows.push(row("end", end.at, undefined, ending(utterance)));
  return html(
    "table",
    { class: "steps" },
    html("caption", { class: "hidden" }, t("fall.label", { request: utterance.request, status: t(`status.${utterance.status}`), steps: "" })),
    html("thead", {}, html("tr", {}, ...["step", "step.at", "step.took", "step.what"].map((key) => html("th", { scope: "col", class: key === "step" || key === "step.what" ? null : "number" }, t(key))))),
    html("tbody", {}, ...rows),
  );
}

function row(name, at, took, what) {
  const taken = took === undefined ? "" : took === null ? "…" : duration(took);
  return html(
    "tr",
    {},
    html("th", { scope: "row" }, html("span", { class: `dot ${name}`, "aria-hidden": "true" }), t(`step.${name}`)),
    html("td", { class: "number" }, duration(at)),
    html("td", { class: "number" }, taken),
    html("td", {}, what),
  );
}

function whatOf(utterance, name) {
  const { report, call, track } = utterance;
  switch (name) {
    case "call":
      if (!call.status) return "";
      if (!call.awaits || call.answeredAt === null) return t("what.call", { status: call.status });
      return t("what.awaited", { status: call.status, took: duration(call.answeredAt - call.at) });
    case "waiting":
      return t("what.waiting");
    case "synthesis":
      return report?.rtf === null || report?.rtf === undefined ? "" : t("what.synthesis", { rtf: report.rtf.toLocaleString(language()) });
    case "delivery":
      return [counts("what.delivery", report), report.reconnects || report.retransmitted ? t("what.more", report) : ""]
        .filter(Boolean)
        .join(" · ");
    case "hearing":
      return [
        t("what.hearing", { chunks: track.arrivals.length, first: duration(track.arrivals[0].at - (utterance.requestedAt ?? utterance.call?.at ?? track.arrivals[0].at)) }),
        track.dry ? t("what.dry", { count: track.dry }) : "",
      ]
        .filter(Boolean)
        .join(" · ");
    default:
      return "";
  }
}

function counts(key, report) {
  return t(key, { chunks: report.deliveredChunks, bytes: Math.round(report.bytes / 1000).toLocaleString(language()) });
}

function ending(utterance) {
  const { report } = utterance;
  const said = t(`status.${utterance.status}`);
  if (report?.error) return `${said}: ${line(endOf(utterance))}`;
  return report?.transport === "none" ? `${said} · ${counts("what.stored", report)}` : said;
}

function bar(name, x, y, width, height, open = false) {
  return svg("rect", { class: `bar ${name}${open ? " open" : ""}`, x, y, width: round(width), height, rx: 1.5 });
}

function round(value) {
  return Math.round(value * 10) / 10;
}
