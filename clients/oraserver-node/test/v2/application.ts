/**
 * An application for tests: it writes each call into a file of JSON lines, which survives SIGKILL, and has the audio in it.
 *
 *     node application.js DATA_DIR CALLS_FILE PORT
 *
 * A phone whose id begins with `stalled` takes no audio after its first piece. Settings of v2 are JSON in `RULES`.
 */

import { appendFileSync } from "node:fs";
import { startReceiver } from "../../src/server.js";
import type { Rules } from "../../src/v2/rules.js";

const [dataDir, calls, port] = process.argv.slice(2) as [string, string, string];

function note(call: string, fields: object): void {
  appendFileSync(calls, JSON.stringify({ call, ...fields }) + "\n");
}

note("start", {});
const receiver = await startReceiver(
  { dataDir, port: Number(port), v2: JSON.parse(process.env["RULES"] ?? "{}") as Partial<Rules> },
  {
    onBegin: ({ requestId }) => note("begin", { request: requestId }),
    onSentence: ({ requestId }, { n, text }) => note("sentence", { request: requestId, n, text }),
    onWords: ({ requestId }, { n }, words) => note("words", { request: requestId, n, words }),
    onAudio: ({ requestId, phoneId, transport }, audio, at) => {
      note("audio", { request: requestId, at, data: audio.toString("base64"), transport });
      return phoneId.startsWith("stalled") ? new Promise(() => {}) : undefined;
    },
    onComplete: (utterance) => {
      note("complete", { request: utterance.requestId });
      receiver.played(utterance, 100, true);
    },
    onInterrupted: ({ requestId, end }) => {
      note("interrupted", { request: requestId, end });
      return { playedMs: 42 };
    },
  },
);
console.log(JSON.stringify({ listening: receiver.url }));
