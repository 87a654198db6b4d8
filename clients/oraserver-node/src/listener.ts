/** What your application is called with, by both versions of the protocol. */

import type { Metadata } from "./frames.js";
import type { Sentence, Word } from "./v2/messages.js";

export type Transport = "websocket" | "http" | "websocket-v2";

/** An utterance as the application sees it: one object as long as the process runs. */
export interface Speech {
  readonly sessionId: string;
  readonly phoneId: string;
  readonly requestId: string;
  readonly transport: Transport;
  /** Name of its audio file, in the folder `v2` for v2; empty if it is in memory only. */
  readonly file: string;
  /** Stored bytes of the audio. */
  bytes: number;
  /** Not set while more may come. */
  end?: "complete" | "interrupted" | "cancelled" | "failed" | undefined;
  /** Of v2 only. */
  readonly node?: string;
  readonly seq?: number;
  readonly format?: string;
  readonly sampleRate?: number;
  readonly channels?: number;
  readonly engine?: string;
  readonly language?: string;
}

/** What an application is called with. It is called in order, and once for each piece of audio. */
export interface Listener {
  /** v2: an utterance begins, or is the first time seen by this process. */
  onBegin?(utterance: Readonly<Speech>): void;
  /**
   * v2: a sentence begins. If the same `n` comes again with another `ms`, it begins again, and its words until then count
   * no more. After a restart of this process a sentence may also come again as it was.
   */
  onSentence?(utterance: Readonly<Speech>, sentence: Sentence): void;
  /**
   * v2: these words of the sentence are known, in order and before the audio in which they end; each comes once, but for
   * a restart. Times are ms of the utterance, places are code points of the request's text: see README.
   */
  onWords?(utterance: Readonly<Speech>, sentence: Sentence, words: readonly Word[]): void;
  /**
   * New audio, in order. The first 44 bytes of a streamed WAV are a header with unknown sizes. `metadata`: of this piece.
   * `position` is the number of the chunk with v1, and the offset of the first byte with v2. With v2 a promise holds up
   * this utterance, and no other phone's, until it is settled; v1 does not wait.
   */
  onAudio?(utterance: Readonly<Speech>, audio: Buffer, position: number, metadata: Metadata): unknown;
  /** All audio has come. */
  onComplete?(utterance: Readonly<Speech>): void;
  /**
   * What the phone has not played is not to be played, unless `utterance.end` is `failed`. `complete`: cancelled after its
   * end. With v2 it may return `{ playedMs }`, or a promise of it: the bridge gets the answer then, 5 s later at most.
   */
  onInterrupted?(utterance: Readonly<Speech>): unknown;
}
