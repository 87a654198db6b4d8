/** Errors in the reader's words: what their code means, and as a detail what the server said. */

import { ApiError } from "./api.js";
import { t } from "./i18n.js";

/** What an error of a call was: `{what, detail}`. */
export function wordsOf(error) {
  if (!(error instanceof ApiError) || error.broken) return { what: t("error.network"), detail: "" };
  const { message, code, status } = error;
  return { what: meaning(code), detail: t("error.call", { message, code, status }) };
}

/** Why an utterance came to its end, by its report's error: `{what, detail}`. */
export function endOf({ status, report }) {
  const { message, code } = report?.error ?? { message: "", code: status };
  return { what: meaning(code), detail: message ? t("error.report", { message, code }) : "" };
}

/** Both in one line, where no more than text goes. */
export function line({ what, detail }) {
  return [what, detail].filter(Boolean).join(" – ");
}

/** Whether what is wrong is the way to the node, and over when the way is there again. */
export function ofLink(error) {
  return !(error instanceof ApiError) || error.broken || error.code === "unavailable" || error.code === "unauthorized";
}

function meaning(code) {
  const words = t(`code.${code}`);
  return words === `code.${code}` ? t("code.other") : words;
}
