/** The journal: a file of JSON lines that only grows. The newest line about an utterance counts. */

import { open, type FileHandle } from "node:fs/promises";

export class Journal {
  #lines = "";
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(
    private readonly file: FileHandle,
    private end: number,
    private readonly sync: boolean,
  ) {}

  /** Open the journal, pass each of its entries to `replay`, and remove a line at its end that a crash has cut. */
  static async open(path: string, sync: boolean, replay: (entry: unknown) => void): Promise<Journal> {
    const file = await open(path, "a+", 0o600); // the ids of callers are in it: not for other users
    await file.close();
    const journal = new Journal(await open(path, "r+"), 0, sync);
    const data = await journal.file.readFile();
    for (let newline; (newline = data.indexOf(10, journal.end)) >= 0; journal.end = newline + 1) {
      try {
        replay(JSON.parse(data.toString("utf8", journal.end, newline)));
      } catch {
        break; // after a power cut a line may hold zeros; nothing after it was confirmed with SYNC=always
      }
    }
    if (journal.end < data.length) {
      console.error(`${path}: the last ${data.length - journal.end} bytes are no whole line and are dropped`);
      await journal.file.truncate(journal.end); // else the next line would continue the cut one, and both be lost
    }
    return journal;
  }

  /** Append an entry; resolves when the operating system has it, and with `sync` when the disk has it. */
  append(entry: unknown): Promise<void> {
    this.#lines += JSON.stringify(entry) + "\n";
    // What comes while a write is running waits for the next one: one write, and one sync, for all who wait.
    if (this.#next === undefined) {
      this.#next = this.#last.then(() => this.#write());
      this.#last = this.#next.catch(() => {});
    }
    return this.#next;
  }

  /** Wait for what was appended, and close the file. */
  async close(): Promise<void> {
    await this.#last;
    await this.file.close();
  }

  async #write(): Promise<void> {
    const data = Buffer.from(this.#lines);
    this.#lines = "";
    this.#next = undefined;
    try {
      await writeAt(this.file, data, this.end);
      if (this.sync) await this.file.datasync();
    } catch (error) {
      await this.file.truncate(this.end); // a full disk leaves half a line, at which the next replay would stop
      throw error;
    }
    this.end += data.length;
  }
}

/** Write all of `data` at `position`. `FileHandle.write` alone may write a part of it and report success. */
export async function writeAt(file: FileHandle, data: Buffer, position: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    done += (await file.write(data, done, data.length - done, position + done)).bytesWritten;
  }
}
