/** What a frame `text` adds to the sentences of an utterance that are known. Pure: no I/O. */

import type { Text, Word } from "./messages.js";

/** After a break a bridge goes back by no more sentences than fit into `credit`. */
const MAX_KNOWN = 1_000;

/** What is new in a `text`. */
export interface News {
  /** The sentence begins, or begins again at another time: what was known of its words counts no more. */
  readonly begins: boolean;
  readonly words: readonly Word[];
}

export class Sentences {
  /** By `n`, in the order in which they came: when the sentence begins, and when its last known word begins. */
  readonly #known = new Map<number, { readonly ms: number; word: number }>();

  take({ n, ms, words = [] }: Text): News {
    let sentence = this.#known.get(n);
    const begins = sentence?.ms !== ms;
    if (sentence === undefined || begins) {
      sentence = { ms, word: -1 };
      this.#known.delete(n);
      this.#known.set(n, sentence);
      if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!);
    }
    const { word } = sentence;
    const added = words.filter(([, , begin]) => begin > word);
    sentence.word = added.at(-1)?.[2] ?? word;
    return { begins, words: added };
  }
}
