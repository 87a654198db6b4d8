/**
 * The words of what sounds, from the captions of the gateway: WebVTT with the time of each word in front of it. Pure.
 *
 * Of WebVTT it reads what the gateway writes: cues of one line, without settings and styles.
 */

const SPAN = /^(\d+):(\d\d):(\d\d)\.(\d{3}) --> (\d+):(\d\d):(\d\d)\.(\d{3})$/;
const TIME = /<(\d+):(\d\d):(\d\d)\.(\d{3})>/;
const ESCAPES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };

/** The cues of a file, in order: `{beginMs, endMs, words: [{ms, text}]}`. The texts of the words joined are the line. */
export function cuesOf(file) {
  const cues = [];
  const lines = file.split("\n");
  for (const [at, line] of lines.entries()) {
    const span = SPAN.exec(line);
    if (!span) continue;
    const [beginMs, endMs] = [msOf(span.slice(1, 5)), msOf(span.slice(5, 9))];
    const [first, ...rest] = lines[at + 1].split(TIME); // each time gives four numbers, and the text behind it
    const words = [{ ms: beginMs, text: plain(first) }];
    for (let i = 0; i < rest.length; i += 5) words.push({ ms: msOf(rest.slice(i, i + 4)), text: plain(rest[i + 4]) });
    cues.push({ beginMs, endMs, words });
  }
  return cues;
}

/** The line that sounds at that time, or sounded last, with the word that sounds: `{before, word, after}`; null before all. */
export function heardAt(cues, ms) {
  const cue = cues.findLast(({ beginMs }) => beginMs <= ms);
  if (!cue) return null;
  const texts = cue.words.map(({ text }) => text);
  const at = ms < cue.endMs ? cue.words.findLastIndex((word) => word.ms <= ms) : texts.length;
  const word = (texts[at] ?? "").trimEnd();
  const before = texts.slice(0, at).join("");
  return { before, word, after: texts.join("").slice(before.length + word.length) };
}

function msOf([hours, minutes, seconds, ms]) {
  return ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000 + Number(ms);
}

function plain(text) {
  return text.replace(/&(amp|lt|gt);/g, (escape) => ESCAPES[escape]);
}
