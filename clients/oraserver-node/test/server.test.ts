/** Who may use the server, and how it refuses, ends and starts again. */

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Bridge, file, folder, later, list, post, receiver, until } from "./bridge.js";

const A = Buffer.from("a".repeat(5000));

/** Send a handshake by hand; returns all that comes until the server closes, in both directions. */
function handshake(url: string, path: string, ...headers: string[]): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
    socket.on("data", (data) => (text += data.toString())).on("error", () => {});
    socket.on("end", () => {
      until("a write fails, since the server has closed the whole connection", () => {
        if (socket.writable) socket.write("x");
        return socket.destroyed;
      }).then(() => resolve(text), reject);
    });
    const all = ["Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", ...headers];
    socket.write(`GET ${path} HTTP/1.1\r\n${all.join("\r\n")}\r\n\r\n`);
  });
}

test("with a token everything needs it, and a refused handshake gets a whole answer and a close", async () => {
  const { url } = await receiver({ token: "secret" });
  for (const header of [[], ["Authorization: Bearer wrong"], ["Authorization: secret"], ["Authorization: Bearer secret2"]]) {
    const text = await handshake(url, "/ws/tts", ...header);
    const [head, body] = text.split("\r\n\r\n") as [string, string];
    assert.match(head, /^HTTP\/1.1 401 /);
    assert.match(head, new RegExp(`content-length: ${Buffer.byteLength(body)}(\r|$)`, "im"));
    assert.ok((JSON.parse(body) as { error: string }).error.includes("token"));
  }
  const headers = { Authorization: "Bearer secret" };
  assert.equal((await post(url, file("s", "r", A))).status, 401);
  assert.equal((await fetch(`${url}/received`)).status, 401);
  assert.equal((await post(url, file("s", "r", A), headers)).status, 200);
  const bridge = await Bridge.open(url, "s", "p", { headers });
  await bridge.ping();
  assert.equal((await list(url, "s", headers)).length, 1);
});

test("without a token web pages are refused", async () => {
  const { url } = await receiver();
  const headers = { Origin: "https://example.org" };
  assert.match(await handshake(url, "/ws/tts", "Origin: https://example.org"), /^HTTP\/1.1 403 /);
  assert.equal((await post(url, file("s", "r", A), headers)).status, 403);
  assert.equal((await fetch(`${url}/received`, { headers })).status, 403);
  assert.deepEqual(await list(url), []);
});

test("paths are settings, and others are answered with 404", async () => {
  const { url } = await receiver({ websocketPath: "/in", httpPath: "/file" });
  assert.match(await handshake(url, "/ws/tts"), /^HTTP\/1.1 404 /);
  assert.equal((await post(url, file("s", "r", A))).status, 404);
  assert.equal((await fetch(`${url}//`)).status, 404);
  const body = JSON.stringify(file("s", "r", A));
  assert.equal((await fetch(`${url}/file?x=1`, { method: "POST", body })).status, 200);
  await (await Bridge.open(url, "s", "p", { path: "/in?x=1" })).ping();
});

test("the list is of one session, or of all", async () => {
  const { url } = await receiver();
  for (const session of ["a b&c", "한글", "x"]) await post(url, file(session, "r", A));
  for (const session of ["a b&c", "한글"]) {
    assert.deepEqual((await list(url, session)).map(({ sessionId }) => sessionId), [session]);
  }
  assert.equal((await list(url)).length, 3);
});

/** `main.js` as a process of its own. */
async function running(env: Record<string, string>): Promise<{ url: string; child: ChildProcess; ended: Promise<number | null> }> {
  const main = fileURLToPath(new URL("../src/main.js", import.meta.url));
  const child = spawn(process.execPath, [main], { env: { ...process.env, PORT: "0", ...env }, stdio: ["ignore", "pipe", "ignore"] });
  later(() => child.kill("SIGKILL"));
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  for await (const line of createInterface(child.stdout!)) {
    return { url: (JSON.parse(line) as { listening: string }).listening, child, ended };
  }
  throw new Error("the process ended before it listened");
}

for (const SYNC of ["os", "always"]) {
  test(`what was confirmed is there after SIGKILL, and the rest comes again: SYNC=${SYNC}`, async () => {
    const DATA_DIR = await folder();
    const chunks = [...Array(40).keys()].map((index) => Buffer.alloc(3000, index));
    let at = 0;
    for (let kills = 0; kills < 4; kills++) {
      const { url, child, ended } = await running({ DATA_DIR, SYNC });
      const confirmed = (await list(url, "s"))[0]?.chunks ?? 0;
      assert.ok(confirmed >= at, `${at} chunks were confirmed, and ${confirmed} are there`);
      const bridge = await Bridge.open(url, "s");
      for (let index = Math.max(0, at - 2); index < at + 5; index++) bridge.chunk("r", index, chunks[index]!);
      await bridge.ping();
      at += 5;
      for (let index = at; index < at + 5; index++) bridge.chunk("r", index, chunks[index]!);
      child.kill("SIGKILL");
      await ended;
      await appendFile(join(DATA_DIR, "journal.jsonl"), '{"sessionId":"s","requ'); // a line that the kill has cut
    }
    const { url, child, ended } = await running({ DATA_DIR, SYNC });
    const bridge = await Bridge.open(url, "s");
    for (let index = at; index < chunks.length; index++) bridge.chunk("r", index, chunks[index]!);
    bridge.end("r", "complete", chunks.length);
    await bridge.ping();
    const [utterance] = await list(url, "s");
    assert.deepEqual([utterance!.complete, utterance!.chunks], [true, 40]);
    assert.equal(utterance!.sha256, createHash("sha256").update(Buffer.concat(chunks)).digest("hex"));
    child.kill("SIGTERM");
    assert.equal((await bridge.closed).code, 1001);
    assert.equal(await ended, 0);
  });
}

test("SIGTERM ends the process although a peer does not answer the close", async () => {
  const { url, child } = await running({ DATA_DIR: await folder() });
  const bridge = await Bridge.open(url, "s");
  await bridge.ping();
  bridge.socket.pause();
  child.kill("SIGTERM");
  await until("the process has ended", () => child.exitCode !== null);
  assert.equal(child.exitCode, 0);
});
