/** The strip of figures: what `/api/node` says of the whole node. */

import { byId, html, write } from "./element.js";
import { duration, language, t } from "./i18n.js";

const NAMES = ["waiting", "work", "oldest", "synth", "bridges", "audio"];
const cells = new Map();

/** Show the state of the node, or dashes while it is not known. */
export function drawFigures(node) {
  const values = node ? valuesOf(node) : {};
  for (const name of NAMES) {
    let cell = cells.get(name);
    if (!cell) {
      cell = { line: html("div"), name: html("dt"), value: html("dd") };
      cell.line.append(cell.name, cell.value);
      byId("figures").append(cell.line);
      cells.set(name, cell);
    }
    write(cell.name, t(`figure.${name}`));
    write(cell.value, values[name] ?? "–");
    cell.line.title = t(`figure.${name}.hint`);
    cell.line.dataset.bad = String(Boolean(node && bad(name, node)));
  }
}

function valuesOf(node) {
  const { requests, synth, bridges, audio } = node;
  const share = (audio.bytes / audio.maxBytes).toLocaleString(language(), { style: "percent", maximumFractionDigits: 1 });
  return {
    waiting: String(requests.waiting),
    work: String(requests.inWork),
    oldest: requests.oldestStoredAt === null ? "–" : duration(Math.max(0, node.asOf - requests.oldestStoredAt) * 1000),
    synth: t(synth.asksForWork ? "figure.synth.free" : "figure.synth.full"),
    bridges: `${bridges.ws_bridge ?? 0} + ${bridges.http_bridge ?? 0}`,
    audio: share,
  };
}

function bad(name, node) {
  if (name === "synth") return !node.synth.asksForWork;
  if (name === "bridges") return !node.bridges.ws_bridge;
  if (name === "audio") return node.audio.bytes > 0.9 * node.audio.maxBytes;
  return false;
}
