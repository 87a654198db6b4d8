/** Runs a receiver with settings from the environment, until SIGTERM. README.md has a table of the settings. */

import { readFileSync } from "node:fs";
import { startReceiver } from "./server.js";
import { MemoryStore } from "./v2/store.js";

const { env } = process;
const tls =
  env["TLS_CERT"] && env["TLS_KEY"] ? { cert: readFileSync(env["TLS_CERT"]), key: readFileSync(env["TLS_KEY"]) } : undefined;

if ((env["TLS_CERT"] || env["TLS_KEY"]) && !tls) throw new Error("set both TLS_CERT and TLS_KEY, or neither");
if (!["", "os", "always"].includes(env["SYNC"] ?? "")) throw new Error("SYNC must be os or always");
if (!["", "on", "off"].includes(env["V2"] ?? "")) throw new Error("V2 must be on or off");
if (!["", "disk", "memory"].includes(env["V2_STORE"] ?? "")) throw new Error("V2_STORE must be disk or memory");
const credit = Number(env["V2_CREDIT"] || 262_144);
if (!Number.isSafeInteger(credit) || credit < 4_096) throw new Error("V2_CREDIT must be at least 4096");

const receiver = await startReceiver(
  {
    dataDir: env["DATA_DIR"] || "data",
    sync: env["SYNC"] === "always",
    token: env["ORASERVER_TOKEN"],
    host: env["HOST"] || "127.0.0.1",
    port: Number(env["PORT"] || 8080),
    websocketPath: env["WEBSOCKET_PATH"] || "/ws/tts",
    httpPath: env["HTTP_PATH"] || "/api/tts",
    tls,
    v2: env["V2"] === "off" ? false : { credit, crc: env["V2_CRC"] === "on", ...(env["V2_STORE"] === "memory" ? { store: new MemoryStore() } : {}) },
  },
  {
    // Here an application passes the audio on to its phones. This one says what happens.
    onComplete: ({ sessionId, requestId, bytes, file }) => log("complete", { sessionId, requestId, bytes, file }),
    onInterrupted: ({ sessionId, requestId, end }) => log("interrupted", { sessionId, requestId, end }),
  },
);
console.log(JSON.stringify({ listening: receiver.url }));

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => void receiver.close());
}

function log(event: string, fields: object): void {
  console.error(JSON.stringify({ event, ...fields }));
}
