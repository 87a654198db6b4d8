/** The dialog that asks for a key of the gateway. */

import { byId } from "./element.js";
import { t } from "./i18n.js";

/** Asks when the gateway answers 401, and when the user wants to; `onChange()` after the key has changed. */
export class Keys {
  constructor(api, onChange) {
    this.api = api;
    this.dialog = byId("key-dialog");
    this.input = byId("key-input");
    this.error = byId("key-error");
    byId("key-open").addEventListener("click", () => this.#open());
    byId("key-close").addEventListener("click", () => this.dialog.close());
    byId("key-forget").addEventListener("click", () => this.#use("", onChange));
    byId("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#use(this.input.value.trim(), onChange);
    });
  }

  /** A call was refused for want of a key, or for a wrong one. */
  ask() {
    this.error.textContent = this.api.key ? t("key.wrong") : "";
    if (!this.dialog.open) this.#open();
  }

  #open() {
    this.input.value = "";
    this.dialog.showModal();
    this.input.focus();
  }

  #use(key, onChange) {
    this.api.key = key;
    this.error.textContent = "";
    this.dialog.close();
    onChange();
  }
}
