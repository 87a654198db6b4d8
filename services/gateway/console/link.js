/** How the page stands to the node, in one word: what events and looks say of it. */

import { byId } from "./element.js";
import { t } from "./i18n.js";

/** Draws into `#link`; `onChange(state, before)` whenever it is another one: connecting, live, node, lost or key. */
export class Link {
  constructor(onChange) {
    this.onChange = onChange;
    this.state = "connecting";
  }

  #events = "connecting";
  #nodeAnswers = true;

  /** What the reading of events says. */
  events(state) {
    this.#events = state;
    this.#show();
  }

  /** Whether the gateway could look at the node. Its events may not have noticed yet that nobody answers. */
  looked(answers) {
    this.#nodeAnswers = answers;
    this.#show();
  }

  #show() {
    const state = this.#events === "live" && !this.#nodeAnswers ? "node" : this.#events;
    if (state === this.state) return;
    const before = this.state;
    this.state = state;
    const link = byId("link");
    link.dataset.state = state;
    link.firstElementChild.dataset.t = `link.${state}`;
    link.firstElementChild.textContent = t(`link.${state}`);
    this.onChange(state, before);
  }
}
