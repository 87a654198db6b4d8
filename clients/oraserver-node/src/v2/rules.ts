/** What an OraServer may choose. */

export interface Rules {
  /** Bytes of an utterance that may be stored and not yet taken by the application. */
  readonly credit: number;
  /** Unfinished streams of a connection. */
  readonly streams: number;
  readonly formats: readonly string[];
  /** How long an unfinished utterance waits after its connection broke. */
  readonly keepMs: number;
  readonly crc: boolean;
  /** The application calls `played`. */
  readonly played: boolean;
  /** Sessions, utterances and cancels that are kept, together. Beyond it an `open` of another utterance is `busy`. */
  readonly maxRecords: number;
}

export const RULES: Rules = {
  credit: 262_144,
  streams: 1_000,
  formats: ["wav", "pcm16", "mulaw", "alaw", "opus", "flac", "mp3", "aac"],
  keepMs: 600_000,
  crc: false,
  played: false,
  maxRecords: 100_000,
};
