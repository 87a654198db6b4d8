/**
 * A directory that survives SIGKILL of the process: one audio file per utterance, and a journal of the records.
 *
 * The bytes of a commit are written first, then its records in one write: a record never counts bytes that are not there.
 * What the operating system has survives a crash of this process; with `sync` it is on the disk, and survives a power cut.
 * One process uses a directory at a time.
 */

import { createHash } from "node:crypto";
import { constants, createReadStream, existsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { Journal, writeAt } from "../journal.js";
import type { Change, Key } from "./effects.js";
import type { Saved } from "./sessions.js";
import { Records, utteranceKey, type Store } from "./store.js";
import { Utterance } from "./utterance.js";

const JOURNAL = "journal.jsonl";
const AUDIO = ".audio";
/** The journal is written anew when it has this many lines, and four times as many as there are records. */
const MAX_LINES = 20_000;

export class DiskStore implements Store {
  #records = new Records();
  #journal: Journal | undefined;
  #lines = 0;

  constructor(
    private readonly dir: string,
    private readonly sync = false,
  ) {}

  async load(): Promise<Saved> {
    await this.#journal?.close();
    this.#journal = undefined;
    this.#records = new Records();
    this.#lines = 0;
    if (!existsSync(join(this.dir, JOURNAL))) return { sessions: [], utterances: [] }; // `commit` makes it: v1 needs none
    this.#journal = await this.#openJournal();
    await this.#removeUnknownFiles();
    const utterances = [];
    for (const record of this.#records.utterances.values()) {
      const file = this.fileOf(record);
      const isWanted = record.state !== "cancelled" && record.given < record.upto;
      try {
        utterances.push(new Utterance(record, isWanted ? [await this.#read(file, record.given, record.upto)] : [], file));
      } catch (error) {
        // Somebody has removed the file. `opened` says that these bytes are gone, and the bridge sends them again.
        console.error(`${file}: ${error}`);
        const forgotten = { upto: record.given, state: "unfinished" as const, size: undefined, status: undefined, ms: undefined };
        utterances.push(new Utterance({ ...record, ...forgotten }, [], file));
      }
    }
    return { sessions: [...this.#records.sessions.values()], utterances };
  }

  async commit(changes: readonly Change[]): Promise<void> {
    const journal = (this.#journal ??= await this.#openJournal());
    const bytes = new Map<string, { of: Key; at: number; data: Buffer[] }>();
    const records = new Map<string, Change>();
    for (const change of changes) {
      if (change.kind === "bytes") {
        const key = utteranceKey(change.of);
        const before = bytes.get(key);
        if (before === undefined) bytes.set(key, { of: change.of, at: change.at, data: [...change.bytes] });
        else before.data.push(...change.bytes); // one utterance's bytes follow each other
      } else {
        const { node, session, seq } = change.kind === "forget" ? change.of : { seq: undefined, ...change };
        const key = JSON.stringify([node, session, seq]);
        records.delete(key); // the newest one goes to the end
        records.set(key, change);
      }
    }
    for (const { of, at, data } of bytes.values()) await this.#write(of, at, Buffer.concat(data));
    if (this.sync && bytes.size > 0) await this.#syncDirectory();
    await Promise.all([...records.values()].map((record) => journal.append(record)));
    this.#lines += records.size;
    for (const record of records.values()) {
      this.#records.apply(record);
      if (record.kind === "forget" && record.of.seq !== undefined) await rm(this.#path({ ...record.of, seq: record.of.seq }), { force: true });
    }
    if (this.#lines > MAX_LINES && this.#lines > 4 * this.#records.size) await this.#compact();
  }

  /** A file name for any ids: the hash leaves no character of them. */
  fileOf({ node, session, seq }: Key): string {
    return createHash("sha256").update(JSON.stringify([node, session, seq])).digest("hex").slice(0, 40) + AUDIO;
  }

  async sha256(of: Key, bytes: number): Promise<string> {
    const hash = createHash("sha256");
    if (bytes === 0) return hash.digest("hex");
    try {
      for await (const piece of createReadStream(this.#path(of), { end: bytes - 1 })) hash.update(piece);
    } catch {
      return "";
    }
    return hash.digest("hex");
  }

  async close(): Promise<void> {
    await this.#journal?.close();
    this.#journal = undefined;
  }

  #path(of: Key): string {
    return join(this.dir, this.fileOf(of));
  }

  async #openJournal(): Promise<Journal> {
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    const journal = await Journal.open(join(this.dir, JOURNAL), this.sync, (entry) => {
      this.#lines += 1;
      this.#records.apply(entry as Change);
    });
    if (this.sync) await this.#syncDirectory();
    return journal;
  }

  /** Write the records that count into a new journal, which then takes the place of the old one. */
  async #compact(): Promise<void> {
    const fresh = `${JOURNAL}.new`;
    await rm(join(this.dir, fresh), { force: true }); // of a process that was killed here
    const journal = await Journal.open(join(this.dir, fresh), this.sync, () => {});
    const records = [...this.#records.sessions.values(), ...this.#records.utterances.values()];
    await Promise.all(records.map((record) => journal.append(record)));
    await rename(join(this.dir, fresh), join(this.dir, JOURNAL));
    if (this.sync) await this.#syncDirectory();
    await this.#journal?.close();
    this.#journal = journal;
    this.#lines = records.length;
  }

  /** Files of utterances that were forgotten, or of which a process was killed before it had stored a record. */
  async #removeUnknownFiles(): Promise<void> {
    const known = new Set([...this.#records.utterances.values()].map((record) => this.fileOf(record)));
    for (const name of await readdir(this.dir)) {
      if (name.endsWith(AUDIO) && !known.has(name)) await rm(join(this.dir, name), { force: true });
    }
  }

  async #read(file: string, from: number, to: number): Promise<Buffer> {
    const handle = await open(join(this.dir, file), constants.O_RDONLY);
    try {
      const data = Buffer.alloc(to - from);
      for (let done = 0; done < data.length; ) {
        const { bytesRead } = await handle.read(data, done, data.length - done, from + done);
        if (bytesRead === 0) throw new Error(`${file} has fewer bytes than the journal says`);
        done += bytesRead;
      }
      return data;
    } finally {
      await handle.close();
    }
  }

  async #write(of: Key, at: number, data: Buffer): Promise<void> {
    // At a position, not at the end: of a commit that failed the file may have more bytes than count.
    const handle: FileHandle = await open(this.#path(of), constants.O_WRONLY | constants.O_CREAT, 0o600);
    try {
      await writeAt(handle, data, at);
      if (this.sync) await handle.datasync();
    } finally {
      await handle.close();
    }
  }

  async #syncDirectory(): Promise<void> {
    const directory = await open(this.dir, constants.O_RDONLY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}
