/** The language of the console: its words, and numbers as its readers write them. */

import { isolated } from "./foreign.js";
import { STRINGS } from "./strings.js";

const listeners = new Set();
let current = "en";

/** The language in use: `en` or `ko`. */
export function language() {
  return current;
}

/** The text of a key, its `{names}` replaced by values, which may be foreign texts. */
export function t(key, values = {}) {
  return (STRINGS[current][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => isolated(values[name] ?? ""));
}

/** A duration for people: milliseconds below a second, then seconds. */
export function duration(ms) {
  if (ms === 0) return "0";
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "–";
  const number = (value, digits) =>
    value.toLocaleString(current, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  if (Math.abs(ms) < 1000) return t("ms", { n: number(ms, Math.abs(ms) < 10 ? 1 : 0) });
  return t("s", { n: number(ms / 1000, Math.abs(ms) < 10_000 ? 2 : 1) });
}

/** A time of day where this browser is, as in `14:03:27`; of another day than `now` with its date. Both in ms. */
export function timeOfDay(ms, now) {
  const at = new Date(ms ?? NaN);
  if (Number.isNaN(at.getTime())) return "–";
  const { time, date } = clocks();
  if (at.toDateString() === new Date(now).toDateString()) return time.format(at);
  return `${date.format(at)} ${time.format(at)}`;
}

const formats = {};

/** The formats of a time and of a date in the language in use. Each is kept: to make one takes 50 times as long as to use it. */
function clocks() {
  return (formats[current] ??= {
    time: new Intl.DateTimeFormat(current, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
    date: new Intl.DateTimeFormat(current, { month: "short", day: "numeric" }),
  });
}

/** Call `listener` whenever the language has changed. */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** Use a language for the page's own words and all that is drawn from now on. */
export function useLanguage(name) {
  current = name in STRINGS ? name : "en";
  document.documentElement.lang = current;
  document.title = `orastream ${t("console")}`;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]")) element.ariaLabel = t(element.dataset.tLabel);
  for (const element of document.querySelectorAll("[data-t-placeholder]")) element.placeholder = t(element.dataset.tPlaceholder);
  for (const listener of listeners) listener(current);
}

/** The language to begin with: the one chosen in this tab, else the browser's first that there is. */
export function preferredLanguage() {
  const wanted = [sessionStorage.getItem("orastream.language"), ...(navigator.languages ?? [navigator.language])];
  return wanted.map((name) => (name ?? "").slice(0, 2).toLowerCase()).find((name) => name in STRINGS) ?? "en";
}
