/**
 * The data directory: one audio file per utterance, and the journal that says how much of each file counts.
 *
 * What the operating system has survives a crash of this process (SYNC=os, the default). With SYNC=always it is on the
 * disk before it is confirmed, and survives a crash of the machine too. One process uses a directory at a time.
 */

import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { mkdir, open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { Unusable, type Ended, type Metadata } from "./frames.js";
import { Journal, writeAt } from "./journal.js";

export type Transport = "websocket" | "http"; // of v1: those of v2 are in v2/store.ts

/** An utterance as received so far, on all its connections. This object is also its line in the journal. */
export interface Utterance {
  readonly sessionId: string;
  readonly phoneId: string;
  readonly requestId: string;
  readonly transport: Transport;
  /** Name of its audio file in the data directory. */
  readonly file: string;
  /** How many chunks are stored: the index of the next one. */
  chunks: number;
  /** Audio, before base64. */
  bytes: number;
  /** Not set while more may come. `interrupted`: another utterance of its session and phone has begun. */
  end?: "complete" | "interrupted" | Ended | undefined;
  /** The phone was to stop it: `onInterrupted` was called. */
  stopped?: boolean;
}

const EXTENSIONS = new Set(["wav", "pcm", "opus", "ogg", "flac", "mulaw", "alaw", "mp3", "aac"]);
const WAV_HEADER_BYTES = 44;
const UNKNOWN_SIZE = 0xffffffff;

export class Store {
  readonly #utterances = new Map<string, Utterance>();
  #journal!: Journal;

  private constructor(
    private readonly dir: string,
    private readonly sync: boolean,
  ) {}

  static async open(dir: string, sync: boolean): Promise<Store> {
    const store = new Store(dir, sync);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    store.#journal = await Journal.open(join(dir, "journal.jsonl"), sync, (entry) => store.add(entry as Utterance));
    if (sync) await store.#syncDirectory();
    return store;
  }

  close(): Promise<void> {
    return this.#journal.close();
  }

  /** All utterances, in the order of their beginnings. */
  all(): Utterance[] {
    return [...this.#utterances.values()];
  }

  /** The utterance to which the metadata belongs, if anything of it is stored. Throws Unusable for another phone. */
  find(metadata: Metadata): Utterance | undefined {
    const utterance = this.#utterances.get(key(metadata));
    if (utterance !== undefined && utterance.phoneId !== metadata.phoneId) {
      throw new Unusable("this requestId of the session belongs to another phone");
    }
    return utterance;
  }

  /** A new utterance, without a chunk. It is not in the store before `add`. */
  create(metadata: Metadata, transport: Transport, fileName: string): Utterance {
    const { sessionId, phoneId, requestId } = metadata;
    return { sessionId, phoneId, requestId, transport, file: safeName(metadata, transport, fileName), chunks: 0, bytes: 0 };
  }

  add(utterance: Utterance): void {
    this.#utterances.set(key(utterance), utterance);
  }

  /** Write the next audio of an utterance. The caller counts it afterwards; until then it may be written again. */
  async write(utterance: Utterance, audio: Buffer): Promise<void> {
    // At a position, not at the end: after a failed write, or a restart, the file may have more bytes than count.
    await this.#with(utterance, constants.O_WRONLY, (file) => writeAt(file, audio, utterance.bytes));
    if (this.sync && utterance.bytes === 0) await this.#syncDirectory();
  }

  /** Cut off what does not count, and write the true sizes into the header of a WAV that was streamed. */
  async finish(utterance: Utterance): Promise<void> {
    await this.#with(utterance, constants.O_RDWR, async (file) => {
      await file.truncate(utterance.bytes);
      if (!utterance.file.endsWith(".wav") || utterance.bytes >= UNKNOWN_SIZE) return;
      const header = Buffer.alloc(WAV_HEADER_BYTES);
      await file.read(header, 0, WAV_HEADER_BYTES, 0);
      if (header.toString("latin1", 36, 40) !== "data" || header.readUInt32LE(40) !== UNKNOWN_SIZE) return;
      header.writeUInt32LE(utterance.bytes - 8, 4);
      header.writeUInt32LE(utterance.bytes - WAV_HEADER_BYTES, 40);
      await writeAt(file, header, 0);
    });
  }

  /** Make the state of an utterance survive: its audio first, since the journal must never count audio that is not there. */
  async save(utterance: Utterance): Promise<void> {
    if (this.sync) await this.#with(utterance, constants.O_WRONLY, (file) => file.datasync());
    await this.#journal.append(utterance);
  }

  /** SHA-256 of the audio, in hex; empty if somebody has removed the file. */
  async sha256(utterance: Utterance): Promise<string> {
    const hash = createHash("sha256");
    try {
      for await (const piece of createReadStream(join(this.dir, utterance.file), { end: utterance.bytes - 1 })) {
        hash.update(piece);
      }
    } catch {
      return "";
    }
    return hash.digest("hex");
  }

  /** Opened for each use: cancelled utterances have no end at which an open file would be closed. */
  async #with(utterance: Utterance, mode: number, use: (file: FileHandle) => Promise<void>): Promise<void> {
    const file = await open(join(this.dir, utterance.file), mode | constants.O_CREAT, 0o600);
    try {
      await use(file);
    } finally {
      await file.close();
    }
  }

  /** Without it a new file's name may be missing after a power cut, although its bytes are on the disk. */
  async #syncDirectory(): Promise<void> {
    const directory = await open(this.dir, constants.O_RDONLY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

/** JSON, because ids joined by any separator would be ambiguous: ids may contain it. */
function key(ids: { sessionId: string; requestId: string }): string {
  return JSON.stringify([ids.sessionId, ids.requestId]);
}

/**
 * A file name for any ids: "../..", 256 bytes or Hangul would leave the directory, be too long, or be no name.
 * The hash makes it unique, and the same after a restart, so that a file which is not in the journal is used again.
 */
function safeName(metadata: Metadata, transport: Transport, fileName: string): string {
  const { sessionId, phoneId, requestId } = metadata;
  const hash = createHash("sha256").update(JSON.stringify([sessionId, phoneId, requestId, transport])).digest("hex");
  const extension = fileName.slice(fileName.lastIndexOf(".") + 1);
  const readable = requestId.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 40);
  return `${readable}-${hash.slice(0, 32)}.${EXTENSIONS.has(extension) ? extension : "bin"}`;
}
