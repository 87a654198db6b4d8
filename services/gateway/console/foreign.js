/**
 * Texts that others wrote (ids, words of errors), in a line of the page.
 *
 * A bidi control in an id would reorder what follows it in the row: a failed request could look delivered. So these
 * texts are isolated, in elements by `<bdi>`, in plain text by FSI … PDI; and their controls are shown as `\u202e`,
 * because a PDI in the text would end the isolate.
 */

const CONTROLS = /[\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e]/g;
const ISOLATES = /[\u2066-\u2069]/g;
const OTHER_DIRECTION = /[\u0590-\u08ff\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** The text with its bidi controls as words; for the content of a `<bdi>`. */
export function visible(text) {
  const shown = String(text).replace(CONTROLS, escaped);
  return balanced(shown) ? shown : shown.replace(ISOLATES, escaped);
}

/** The text for a place where there are no elements; isolated only if its direction could matter. */
export function isolated(text) {
  const shown = visible(text);
  return OTHER_DIRECTION.test(shown) ? `\u2068${shown}\u2069` : shown;
}

/** Whether each isolate in the text ends in it, as in a text of which a part was isolated here. */
function balanced(text) {
  let depth = 0;
  for (const [char] of text.matchAll(ISOLATES)) {
    depth += char === "\u2069" ? -1 : 1;
    if (depth < 0) return false;
  }
  return depth === 0;
}

function escaped(char) {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
