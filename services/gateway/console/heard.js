/** What a listener has heard of an utterance that was cut, by its record: the heard part as it is, the rest struck out. */

import { html } from "./element.js";
import { visible } from "./foreign.js";
import { duration, t } from "./i18n.js";

const SHORT = 40; // characters of each part in the list

/** Elements with both parts, whole. Screen readers get a word in front of each part. */
export function cutText({ heardText, unheardText }) {
  const parts = [];
  if (heardText) parts.push(html("span", { class: "hidden" }, `${t("heard.was")} `), html("bdi", {}, visible(heardText)), " ");
  if (unheardText) parts.push(html("span", { class: "hidden" }, `${t("heard.not")} `), html("del", {}, html("bdi", {}, visible(unheardText))));
  return parts;
}

/** The same for a line of the list: the characters around the place of the cut. */
export function shortCutText({ heardText, unheardText }) {
  const [before, after] = [Array.from(heardText), Array.from(unheardText)];
  return cutText({
    heardText: before.length > SHORT ? `…${before.slice(-SHORT).join("")}` : heardText,
    unheardText: after.length > SHORT ? `${after.slice(0, SHORT).join("")}…` : unheardText,
  });
}

/** How much was heard, and how that is known. */
export function cutWords({ playedMs, heardBy }) {
  return playedMs === 0 ? t("heard.nothing") : t(`heard.by.${heardBy}`, { ms: duration(playedMs) });
}
