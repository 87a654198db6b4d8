/**
 * The gateway over HTTP. The key, where one is asked for, is kept in sessionStorage and travels in a header, never in a
 * URL: that is why events are read with fetch and not with EventSource.
 */

const KEY = "orastream.key";
const SILENCE_MS = 15_000; // the gateway shows a sign of life every 5 s
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5_000;
const TRIES = 4; // of a call whose connection breaks
const AUDIO_PATIENCE_MS = 15_000; // a gateway that is started again is back by then

/** What the gateway, or the way to it, refused. `status` is 0 when it did not answer at all. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** Whether the connection broke, so that another try may succeed. */
  get broken() {
    return this.status === 0;
  }
}

/** The calls of one page. `onKeyWanted` is called whenever an answer is 401. */
export class Api {
  constructor(onKeyWanted) {
    this.onKeyWanted = onKeyWanted;
    this.base = new URL(".", document.baseURI);
  }

  get key() {
    return sessionStorage.getItem(KEY) ?? "";
  }

  set key(value) {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  }

  #read = Promise.resolve();

  /**
   * POST or GET with a JSON answer: `{status, body}`. Raises ApiError. Of GETs one is under way at a time, so that
   * they hold one connection together.
   *
   * A call whose connection breaks is made again. (Browsers give up whatever is under way when an address comes or
   * goes, as each container that starts on their machine does.) That is safe: a request carries its id, so the node
   * speaks it once.
   */
  call(method, path, value = undefined) {
    if (method !== "GET") return this.#call(method, path, value);
    const read = this.#read.then(() => this.#call(method, path));
    this.#read = read.catch(() => null);
    return read;
  }

  /** The captions of a request whose audio is made, as WebVTT. One at a time with GETs of `call`. Raises ApiError. */
  captions(session, request) {
    const read = this.#read.then(async () => {
      const answer = await this.#fetch(`api/audio/${token(session)}/${token(request)}?captions=vtt`, {});
      if (!answer.ok) throw this.#error(answer, await answer.json().catch(() => ({})));
      return answer.text().catch((error) => Promise.reject(broken(error)));
    });
    this.#read = read.catch(() => null);
    return read;
  }

  async #call(method, path, value = undefined) {
    const body = value === undefined ? undefined : JSON.stringify(value);
    for (let tries = 1; ; tries += 1) {
      try {
        const answer = await this.#fetch(path, { method, body });
        const answered = await this.#json(answer);
        if (!answer.ok) throw this.#error(answer, answered);
        return { status: answer.status, body: answered };
      } catch (error) {
        if (!error.broken || tries === TRIES) throw error;
      }
      await rest(FIRST_PAUSE_MS * 2 ** (tries - 1));
    }
  }

  /**
   * The audio of a request, while it is made: `{format, rate, pieces}`, the pieces an async iterator of bytes. After a
   * break it is asked for again, and what has come is skipped. Raises ApiError, and so do the pieces. A text that has
   * nothing to say has no pieces.
   */
  async audio(session, request, signal) {
    const open = async () => {
      const answer = await this.#fetch(`api/audio/${token(session)}/${token(request)}`, { signal });
      if (!answer.ok) throw this.#error(answer, await answer.json().catch(() => ({})));
      return answer;
    };
    const answer = await open();
    const { headers } = answer;
    if (answer.status === 204) return { format: "wav", rate: Number(headers.get("X-Sample-Rate")), pieces: [] };
    return {
      format: headers.get("X-Audio-Format"),
      rate: Number(headers.get("X-Sample-Rate")),
      pieces: piecesOf(answer, open, signal),
    };
  }

  /**
   * Follow the events until `signal` aborts, connecting again and again; what was missed in between comes then.
   * `on.hello({resumed, reports})`, `on.report({storedAt, report})`, `on.heard({storedAt, heard})`, `on.state(…)`:
   * connecting, live, node (the gateway has lost it), lost (the gateway itself) or key.
   */
  async follow(signal, on) {
    let last = "";
    let pause = FIRST_PAUSE_MS;
    on.state("connecting");
    while (!signal.aborted) {
      let lost = "lost";
      try {
        await this.#follow(signal, "api/events", last, (event) => {
          last = event.id || last;
          pause = FIRST_PAUSE_MS;
          const value = JSON.parse(event.data);
          if (event.name === "hello") on.state("live");
          if (event.name === "state") on.state(value.available ? "live" : "node");
          else on[event.name]?.(value);
        });
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError && error.status === 401) {
          on.state("key");
          return;
        }
        if (error.code === "unavailable") lost = "node";
      }
      on.state(lost);
      await rest(pause * (0.8 + 0.4 * Math.random()), signal);
      pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
    }
  }

  /**
   * Follow one request until its play has ended, connecting again after a break: `on.progress(…)`. Gives up, without an
   * error, when the gateway refuses it.
   */
  async followRequest(session, request, signal, on) {
    const path = `api/reports/${token(session)}/${token(request)}/events`;
    let pause = FIRST_PAUSE_MS;
    let ended = false;
    while (!signal.aborted && !ended) {
      try {
        await this.#follow(signal, path, "", (event) => {
          pause = FIRST_PAUSE_MS;
          ended ||= event.name === "end";
          on[event.name]?.(JSON.parse(event.data));
        });
      } catch (error) {
        if (error instanceof ApiError && !error.broken && error.status !== 503) return;
      }
      if (!ended) await rest(pause * (0.8 + 0.4 * Math.random()), signal);
      pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
    }
  }

  async #follow(signal, path, last, onEvent) {
    const silence = new AbortController();
    const headers = last ? { "Last-Event-ID": last } : {};
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const answer = await this.#fetch(path, { headers, signal: AbortSignal.any([signal, silence.signal]) });
      if (!answer.ok) throw this.#error(answer, await answer.json().catch(() => ({})));
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const parse = eventParser(onEvent);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        parse(value);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #fetch(path, options) {
    const headers = { ...(options.headers ?? {}) };
    if (options.body !== undefined) headers["Content-Type"] = "application/json";
    const { key } = this;
    if (key) headers.Authorization = `Bearer ${bytes(key)}`;
    let answer;
    try {
      answer = await fetch(new URL(path, this.base), { ...options, headers, cache: "no-store", credentials: "omit" });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw broken(error);
    }
    if (answer.status === 401 && key === this.key) this.onKeyWanted(); // and no late answer to an older key
    return answer;
  }

  async #json(answer) {
    let text;
    try {
      text = await answer.text();
    } catch (error) {
      throw broken(error);
    }
    try {
      return JSON.parse(text);
    } catch {
      throw new ApiError(answer.status, "unreadable", answer.statusText || "unreadable");
    }
  }

  #error(answer, body) {
    const error = body.error ?? {};
    return new ApiError(answer.status, error.code ?? "refused", error.message ?? answer.statusText);
  }
}

/** The bytes of an answer, and after a break those that follow in the one that `open` gives then. */
async function* piecesOf(answer, open, signal) {
  let got = 0;
  let cameAt = performance.now();
  let pause = FIRST_PAUSE_MS;
  for (;;) {
    try {
      answer ??= await open();
      const reader = answer.body.getReader();
      let passed = 0;
      for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
        const fresh = value.subarray(Math.max(0, got - passed));
        passed += value.length;
        if (!fresh.length) continue;
        got = passed;
        pause = FIRST_PAUSE_MS;
        yield fresh;
        cameAt = performance.now();
      }
      return;
    } catch (error) {
      const final = error instanceof ApiError && !error.broken && error.status !== 503;
      if (final || signal.aborted || performance.now() > cameAt + AUDIO_PATIENCE_MS) throw error;
    }
    answer = null;
    await rest(pause, signal);
    pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
  }
}

/** A function that takes text as it arrives and calls `onEvent({name, id, data})` for each whole event. */
export function eventParser(onEvent) {
  let rest = "";
  let event = { name: "message", id: "", data: "" };
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (event.data) onEvent(event);
        event = { name: "message", id: "", data: "" };
        continue;
      }
      const [field, ...parts] = line.split(": ");
      const value = parts.join(": ");
      if (field === "event") event.name = value;
      else if (field === "id") event.id = value;
      else if (field === "data") event.data += value;
    }
  };
}

function broken(error) {
  return new ApiError(0, "network", String(error.message ?? error));
}

function token(id) {
  return encodeURIComponent(id);
}

/** Headers hold bytes: a key with other letters goes as its UTF-8, which the gateway compares. */
function bytes(key) {
  return String.fromCharCode(...new TextEncoder().encode(key));
}

/** Sleep, or wake when `signal` aborts. */
export function rest(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
