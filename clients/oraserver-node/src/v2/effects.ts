/** What the core asks its shell to do, in this order. */

import type { Sentence, ServerFrame, Word } from "./messages.js";
import type { SessionRecord } from "./session.js";
import type { Utterance, UtteranceRecord } from "./utterance.js";

/** Which utterance something is about. */
export interface Key {
  readonly node: string;
  readonly session: string;
  readonly seq: number;
}

/** What a store is to keep. A newer record of the same utterance or session replaces the older one. */
export type Change =
  | UtteranceRecord
  | SessionRecord
  | { readonly kind: "bytes"; readonly of: Key; readonly at: number; readonly bytes: readonly Buffer[] }
  | { readonly kind: "forget"; readonly of: { readonly node: string; readonly session: string; readonly seq?: number } };

export type Effect =
  /** Store this before any effect that comes later. */
  | { readonly kind: "save"; readonly change: Change }
  | { readonly kind: "send"; readonly connection: number; readonly frame: ServerFrame }
  /** Close the connection with 1002. */
  | { readonly kind: "close"; readonly connection: number; readonly reason: string }
  | { readonly kind: "begin"; readonly utterance: Utterance }
  | { readonly kind: "sentence"; readonly utterance: Utterance; readonly sentence: Sentence }
  | { readonly kind: "words"; readonly utterance: Utterance; readonly sentence: Sentence; readonly words: readonly Word[] }
  /** Give this to the application, then call `Core.taken`. */
  | { readonly kind: "audio"; readonly utterance: Utterance; readonly at: number; readonly data: Buffer }
  /** The application is to know that all audio has come, or that the rest does not come. */
  | { readonly kind: "ended"; readonly utterance: Utterance }
  /** The phone is to stop it; then call `Core.stopped`. */
  | { readonly kind: "stop"; readonly utterance: Utterance };

export type Emit = (effect: Effect) => void;
