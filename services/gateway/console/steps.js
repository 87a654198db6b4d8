/** The steps of an utterance on one line of time, reckoned from what is known of it. Pure: no page, no clock. */

/**
 * `{begin, end, steps, marks}`: milliseconds from its beginning (the call, else the storing of the request).
 * A step is `{name, from, to, open}` (`open`: it goes on), a mark `{name, at}`; names are those of `step.*`.
 */
export function stepsOf(utterance, now) {
  const { report, call, track } = utterance;
  const times = reckoned(utterance);
  const begin = call?.at ?? times.requestedAt ?? times.claimedAt ?? times.endedAt ?? now;
  const steps = [];
  const marks = [];
  const step = (name, from, to) => {
    if (from === null || from === undefined) return;
    const until = to ?? now;
    steps.push({ name, from: Math.max(0, from - begin), to: Math.max(0, Math.max(from, until) - begin), open: to === null });
  };
  const end = utterance.final ? (times.endedAt ?? now) : null;

  if (call) step("call", call.at, call.until);
  // Of what was under way before the page was opened, nobody here knows when it was claimed.
  const unclaimed = ["asked", "queued", "expired"].includes(utterance.status);
  if (times.claimedAt !== null || unclaimed) step("waiting", times.requestedAt, times.claimedAt ?? end);
  step("synthesis", times.claimedAt, times.synthesizedAt ?? end);
  if (report?.transport !== "none") step("delivery", times.firstWriteAt, times.lastConfirmedAt ?? end);
  if (track && track.firstHeardAt !== null) {
    step("hearing", track.firstHeardAt, track.done ? track.lastHeardAt : Math.max(now, track.firstHeardAt));
    if (!track.done) steps.at(-1).open = true;
  }
  if (times.firstWriteAt !== null) marks.push({ name: "first", at: times.firstWriteAt - begin });
  for (const { at } of utterance.confirmed) marks.push({ name: "chunk", at: at - begin, step: "delivery" });
  for (const { at } of track?.arrivals ?? []) marks.push({ name: "chunk", at: at - begin, step: "hearing" });
  if (times.endedAt !== null) marks.push({ name: "end", at: times.endedAt - begin });
  const last = Math.max(1, ...steps.map(({ to }) => to), ...marks.map(({ at }) => at));
  return { begin, end: last, steps, marks };
}

/** Times that the reports imply, where no event was seen: a console that is opened later shows them too. */
function reckoned(utterance) {
  const { report } = utterance;
  const times = {
    requestedAt: utterance.requestedAt,
    claimedAt: utterance.claimedAt,
    synthesizedAt: utterance.synthesizedAt,
    endedAt: utterance.endedAt,
    firstWriteAt: null,
    lastConfirmedAt: null,
  };
  if (!report) return times;
  if (report.transferMs !== null && times.endedAt !== null) {
    times.lastConfirmedAt = times.endedAt;
    times.firstWriteAt = times.endedAt - report.transferMs;
    if (report.firstAudioMs !== null) times.requestedAt ??= times.firstWriteAt - report.firstAudioMs;
  } else if (report.firstAudioMs !== null && times.requestedAt !== null) {
    times.firstWriteAt = times.requestedAt + report.firstAudioMs;
  }
  // What synthesis took is its real-time factor times the speech; where it ended is seen only within 0.2 s.
  if (report.rtf !== null && times.claimedAt !== null && report.status === "delivered") {
    const took = report.rtf * report.audioSeconds * 1000;
    times.synthesizedAt = Math.min(times.claimedAt + took, times.endedAt ?? Infinity);
  }
  return times;
}

/** When the request was stored, or what is known next to it, in ms of this browser's clock; null when nothing is known. */
export function beganAt(utterance) {
  const { requestedAt, claimedAt, endedAt } = reckoned(utterance);
  return requestedAt ?? utterance.call?.at ?? claimedAt ?? endedAt;
}

/** From the storing of the request to its end, or to now, in ms; null when the beginning is not known. */
export function wholeMs(utterance, now) {
  const { requestedAt, endedAt } = reckoned(utterance);
  const from = requestedAt ?? utterance.call?.at ?? null;
  if (from === null || utterance.refusal) return null;
  return (utterance.final ? (endedAt ?? now) : now) - from;
}

/** The first audio, in ms from the storing of the request: at OraServer, else in this browser. */
export function firstAudioMs(utterance) {
  const told = utterance.report?.firstAudioMs ?? null;
  if (told !== null) return told;
  const first = utterance.track?.arrivals[0];
  const from = utterance.requestedAt ?? utterance.call?.at ?? null;
  return first && from !== null ? first.at - from : null;
}

/** A round distance for the lines of a scale: 1, 2 or 5 times a power of ten, about `wanted` of them in `span`. */
export function tick(span, wanted) {
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}
