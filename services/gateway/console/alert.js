/** What went wrong, shown until it is over: the link lives again, the utterance ended well, or the user closes it. */

import { byId, html } from "./element.js";
import { visible } from "./foreign.js";
import { onLanguage } from "./i18n.js";

/** Draws into `#alert-box`. */
export class Alert {
  constructor() {
    this.box = byId("alert-box");
    byId("alert-close").addEventListener("click", () => {
      this.clear();
      byId("text").focus(); // where the next try begins; the button that had the focus is gone
    });
    onLanguage(() => this.#draw());
  }

  #words = null;
  #about = [];

  /** Show what `words()` gives in the language of the page: `{what, detail}`. `about`: "link", keys of utterances. */
  show(words, ...about) {
    this.#words = words;
    this.#about = about;
    this.#draw();
  }

  /** Take it away, or only if it is about that. */
  clear(about = null) {
    if (about !== null && !this.#about.includes(about)) return;
    this.#words = null;
    this.#about = [];
    this.#draw();
  }

  #draw() {
    this.box.hidden = this.#words === null;
    const { what = "", detail = "" } = this.#words?.() ?? {};
    // The detail is in the server's own words, which are English.
    byId("alert").replaceChildren(what, ...(detail ? [" – ", html("bdi", { lang: "en" }, visible(detail))] : []));
  }
}
