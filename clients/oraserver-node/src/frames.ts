/** The frames and POST bodies of OraServer protocol v1, checked. Pure: no I/O. Unknown frames and keys are allowed. */

/** What every frame of an utterance carries. There may be more keys than these, such as `sampleRate`. */
export interface Metadata {
  readonly sessionId: string;
  readonly requestId: string;
  readonly phoneId: string;
  readonly [key: string]: unknown;
}

export type Ended = "cancelled" | "failed";

export type Frame =
  | { kind: "init"; sessionId: string; phoneId: string }
  | { kind: "chunk"; metadata: Metadata; fileName: string; index: number; audio: Buffer }
  | { kind: "complete"; metadata: Metadata; totalChunks: number }
  | { kind: "ended"; metadata: Metadata; status: Ended }
  | { kind: "unknown" };

export interface Post {
  readonly metadata: Metadata;
  readonly fileName: string;
  readonly audio: Buffer;
}

/** A frame or a body that can never be used. The message contains nothing of the spoken text. */
export class Unusable extends Error {}

/** Audio is missing before this frame: a chunk was lost that the sender takes for confirmed. */
export class Gap extends Error {}

/** Parse a text frame. Throws Unusable. */
export function parseFrame(data: Buffer): Frame {
  const frame = parseObject(data);
  if ("audioDataBase64" in frame) {
    return { kind: "chunk", index: count(frame["chunkIndex"], "chunkIndex"), ...audioOf(frame) };
  }
  if (frame["status"] === "complete") {
    return { kind: "complete", metadata: metadataOf(frame), totalChunks: count(frame["totalChunks"], "totalChunks") };
  }
  if (frame["status"] === "cancelled" || frame["status"] === "failed") {
    return { kind: "ended", metadata: metadataOf(frame), status: frame["status"] };
  }
  if (frame["type"] === "init") {
    return { kind: "init", sessionId: id(frame["session_id"], "session_id"), phoneId: id(frame["phone_id"], "phone_id") };
  }
  return { kind: "unknown" }; // a later version of the bridge may send frames that this receiver does not know
}

/** Parse the body of a POST. Throws Unusable. */
export function parsePost(data: Buffer): Post {
  return audioOf(parseObject(data));
}

function parseObject(data: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(data.toString());
  } catch {
    throw new Unusable("this is not JSON"); // the parser's own message would quote the text into the log
  }
  return object(value, "this");
}

function audioOf(frame: Record<string, unknown>): Post {
  const fileName = typeof frame["fileName"] === "string" ? frame["fileName"] : "";
  return { metadata: metadataOf(frame), fileName, audio: base64(frame["audioDataBase64"]) };
}

function metadataOf(frame: Record<string, unknown>): Metadata {
  const metadata = object(frame["metadata"], "metadata");
  const ids = {
    sessionId: id(metadata["sessionId"], "sessionId"),
    requestId: id(metadata["requestId"], "requestId"),
    phoneId: id(metadata["phoneId"], "phoneId"),
  };
  return { ...metadata, ...ids };
}

function object(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Unusable(`${name} must be a JSON object`);
  }
  return value as Record<string, unknown>;
}

/** An id of a caller. Throws Unusable. */
export function id(value: unknown, name: string): string {
  const valid = typeof value === "string" && value !== "" && Buffer.byteLength(value) <= 256;
  // Cs: a lone surrogate. Two ids that differ only in one would become the same UTF-8, and so the same file.
  if (!valid || /[\p{Cc}\p{Cs}]/u.test(value)) {
    throw new Unusable(`${name} must be 1 to 256 bytes of UTF-8 without control characters`);
  }
  return value;
}

function count(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new Unusable(`${name} must be an integer from 0`);
  }
  return value as number;
}

function base64(value: unknown): Buffer {
  if (typeof value !== "string" || value === "" || value.length % 4 !== 0) {
    throw new Unusable("audioDataBase64 must be padded base64, and not empty");
  }
  const audio = Buffer.from(value, "base64");
  const padding = value.endsWith("==") ? 2 : value.endsWith("=") ? 1 : 0;
  // Buffer.from skips what is not base64: without this check damaged audio would be stored, shorter than it was sent.
  if (audio.length !== (value.length / 4) * 3 - padding) {
    throw new Unusable("audioDataBase64 has characters that are not base64");
  }
  return audio;
}
