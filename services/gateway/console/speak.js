/** The form: what is typed and chosen as a request, and suggestions for its fields. */

import { byId, html, write } from "./element.js";
import { language, onLanguage, t } from "./i18n.js";

const MODES = {
  none: { transport: "none" },
  forget: { transport: "websocket" },
  sync: { transport: "websocket" }, // to await its end: by its event, never by a call that lasts as long as the speech
  http: { transport: "http" },
};

/** Calls `onSpeak(request, {hear, awaits})`: the wire fields, whether to hear it here, and whether to await its end. */
export function useForm(onSpeak) {
  const form = byId("speak");
  byId("session").value = `console-${random(3)}`;
  const mode = () => form.elements.namedItem("mode").value;
  const hear = byId("hear");
  const here = () => (hear.disabled = mode() === "none"); // nobody else would hear it
  for (const input of form.elements.namedItem("mode")) input.addEventListener("change", here);
  here();
  byId("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    onSpeak(request(mode()), { hear: hear.checked || mode() === "none", awaits: mode() === "sync" });
  });
}

/** The characters of the text, beside what the node takes once that is known; `say(words)` when there are too many. */
export class Count {
  constructor(say) {
    this.say = say;
    this.text = byId("text");
    this.text.addEventListener("input", () => this.draw());
    onLanguage(() => this.draw());
  }

  #limit = null;

  set limit(value) {
    if (value === this.#limit) return;
    this.#limit = value;
    this.draw();
  }

  draw() {
    const number = (value) => value.toLocaleString(language());
    const count = [...this.text.value].length; // characters as the node counts them, not UTF-16 units
    const over = this.#limit !== null && count > this.#limit;
    const values = { count: number(count), limit: number(this.#limit ?? 0), over: number(count - this.#limit) };
    write(byId("text-count"), t(this.#limit === null ? "text.count" : over ? "text.over" : "text.count.of", values));
    // Heard when the text is focused; while one types only the step over the limit is said.
    if (over && this.text.ariaInvalid !== "true") this.say(t("text.over", values));
    this.text.ariaInvalid = String(over);
  }
}

function request(mode) {
  const value = (id) => byId(id).value.trim();
  const text = byId("text").value;
  return {
    text,
    sessionId: byId("session").value,
    phoneId: byId("phone").value,
    requestId: `r-${random(4)}`,
    ...MODES[mode],
    fire_and_forget: true,
    voice: value("voice") || null,
    engine: value("engine") || null,
    language: value("tongue") || languageOf(text),
    speed: Number(value("speed")) || 1,
  };
}

/** As the gateway decides it for OpenAI's API: Hangul makes a text Korean. */
function languageOf(text) {
  return /[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]/.test(text) ? "ko-KR" : "en-US";
}

function random(bytes) {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Suggest the node's voices and engines, if this gateway knows them; else the fields are free text. */
export async function suggest(api) {
  try {
    const { body } = await api.call("GET", "api/voices");
    const voices = body.voices ?? [];
    fill("voices", voices.map((voice) => [voice.name ?? voice.id ?? voice, [voice.language, voice.engine].filter(Boolean).join(", ")]));
    fill("engines", [...new Set(voices.map(({ engine }) => engine).filter(Boolean))].map((name) => [name, ""]));
  } catch {
    // an older gateway has no list of voices
  }
}

function fill(id, options) {
  byId(id).replaceChildren(...options.map(([value, label]) => html("option", { value, label: label || null })));
}
