// An LLM server, in the types that are generated from docs/asyncapi.yaml. It is compiled with the types of each
// generator and never runs. An `@ts-expect-error` fails when the line below it is no error: when a type has lost a
// field or is `any`.
import type { AudioChunk, AudioEnd, AudioStart, AudioWaiting, Cancel, Heard, Progress, PublishAck, Report, SpeakRequest, TextPiece } from './messages'

/** All fields, none of them optional. Modelina adds `additionalProperties` to types that may have more fields. */
type Every<T> = Required<Omit<T, 'additionalProperties'>>
type Nothing<T> = [keyof T] extends [never] ? true : false

// ---- requests

export const least: SpeakRequest = { text: '안녕하세요', sessionId: 's1', phoneId: 'p1' }

// JSON has an object. Modelina's type is a Map, which JSON.stringify would write without its entries.
const words = { SQL: '시퀄' } as unknown as NonNullable<SpeakRequest['pronunciations']>

export const full: Every<SpeakRequest> = {
  text: '안녕하세요',
  ssml: false,
  sessionId: 's1',
  phoneId: 'p1',
  requestId: 'r1',
  use_websocket: true,
  transport: 'websocket',
  fire_and_forget: true,
  engine: 'espeak',
  voice: 'ko',
  language: 'ko-KR',
  speed: 1.2,
  format: 'opus',
  sampleRate: 24000,
  ttlSeconds: 10,
  replyTo: 'tts.reply.llm.7',
  textStream: false,
  idleSeconds: 10,
  redeliverOf: null,
  supersede: true,
  pronunciations: words,
}
export const sent: SpeakRequest = full

export const absent: SpeakRequest = {
  sessionId: 's1', phoneId: 'p1', redeliverOf: 'r1',
  text: null, ssml: null, requestId: null, use_websocket: null, transport: null, fire_and_forget: null, engine: null, voice: null,
  language: null, speed: null, format: null, sampleRate: null, ttlSeconds: null, replyTo: null, textStream: null, idleSeconds: null,
  supersede: null, pronunciations: null,
}

// @ts-expect-error phoneId is required
export const withoutPhone: SpeakRequest = { text: '안녕하세요', sessionId: 's1' }
// @ts-expect-error sessionId is never null
export const withoutSession: SpeakRequest = { ...least, sessionId: null }
// @ts-expect-error there is no such transport
export const pigeon: SpeakRequest = { ...least, transport: 'pigeon' }
// @ts-expect-error there is no such format
export const ogg: SpeakRequest = { ...least, format: 'ogg' }
// @ts-expect-error a number is no string
export const fast: SpeakRequest = { ...least, speed: '1.2' }
// @ts-expect-error a reading is a string
export const unsayable: SpeakRequest = { ...least, pronunciations: { SQL: 1 } }
// @ts-expect-error there is no such field
export const misspelt: SpeakRequest = { ...least, requestID: 'r1' }

export const pieces: TextPiece[] = [{ index: 0, text: '안녕하' }, { index: 1, text: '세요.', end: true }, { index: 2, text: null, end: null }]
// @ts-expect-error index is required
export const withoutIndex: TextPiece = { text: '안녕하' }

export const cancels: Cancel[] = [{}, { requestId: null }, { requestId: 'r1' }]
// @ts-expect-error an id is a string
export const wrongCancel: Cancel = { requestId: 1 }

export function stored(ack: PublishAck): number {
  if (ack.error !== undefined) throw new Error(`${ack.error.code} ${ack.error.err_code} ${ack.error.description}`)
  const duplicate: boolean | undefined = ack.duplicate
  return duplicate ? 0 : ack.seq
}

// ---- reports

export function read(report: Every<Report>): string {
  const {
    requestId, sessionId, phoneId, requestSeq, epoch, status, transport, totalChunks, deliveredChunks, bytes, audioSeconds, sentSeconds,
    firstAudioMs, transferMs, rtf, underruns, underrunMs, reconnects, retransmitted, skippedBytes, error, fallback, redeliverOf, caller, characters, ...rest
  } = report
  const allRead: Nothing<typeof rest> = true
  const ids: string[] = [requestId, sessionId]
  const names: (string | null)[] = [phoneId, redeliverOf, caller]
  const transports: ('websocket' | 'http' | 'none' | null)[] = [transport, fallback]
  const counts: number[] = [requestSeq, epoch, deliveredChunks, bytes, audioSeconds, sentSeconds, underruns, underrunMs, reconnects, retransmitted, skippedBytes]
  const measured: (number | null)[] = [totalChunks, firstAudioMs, transferMs, rtf, characters]
  console.log(allRead, ids, names, transports, counts, measured)
  switch (status) {
    case 'queued':
    case 'synthesizing':
    case 'delivering':
      return 'not final'
    case 'delivered':
    case 'cancelled':
      return status
    case 'failed':
    case 'expired':
      return error === null ? status : `${why(error)}${error.retryable ? ', try again' : ''}`
    default:
      return unknown(status)
  }
}

function why(error: NonNullable<Report['error']>): string {
  const message: string = error.message
  switch (error.code) {
    case 'invalid_request':
    case 'overloaded':
    case 'expired':
    case 'engine_error':
    case 'synth_stalled':
    case 'text_stalled':
    case 'oraserver_unreachable':
    case 'oraserver_refused':
    case 'audio_expired':
    case 'audio_too_long':
    case 'internal':
      return message
    default:
      return unknown(error.code)
  }
}

function unknown(value: never): string {
  return `a later version of the node: ${value}`
}

export function misread(report: Report): void {
  // @ts-expect-error there is no such status
  if (report.status === 'lost') return
  // @ts-expect-error there is no such code
  if (report.error?.code === 'lost') return
  // @ts-expect-error it may be null
  console.log(report.error.code)
  // @ts-expect-error it may be null
  console.log(report.totalChunks + 1)
  // @ts-expect-error there is no such field
  console.log(report.chunks)
}

// @ts-expect-error every field of a report is required
export const withoutFields: Report = { requestId: 'r1', sessionId: 's1', status: 'delivered' }

// ---- what was heard

export function truncate(heard: Every<Heard>): string | null {
  const { requestId, sessionId, requestSeq, epoch, done, heardBy, playedMs, heardText, unheardText, cut, cancelSeq, ...rest } = heard
  const allRead: Nothing<typeof rest> = true
  const ids: string[] = [requestId, sessionId]
  const counts: number[] = [requestSeq, epoch]
  const known: (number | null)[] = [playedMs, cancelSeq]
  const found: 'words' | 'proportion' | null = cut
  console.log(allRead, ids, counts, known, found, unheardText)
  if (!done) return null
  switch (heardBy) {
    case 'played':
    case 'sent':
      return heardText
    case 'unknown':
      return null
    default:
      return unknown(heardBy)
  }
}

export function misheard(heard: Heard): void {
  // @ts-expect-error there is no such source
  if (heard.heardBy === 'guessed') return
  // @ts-expect-error it may be null
  console.log(heard.heardText.length)
  // @ts-expect-error there is no such field
  console.log(heard.text)
}

// ---- live progress

export function share(progress: Every<Progress>): number | null {
  const { requestId, sessionId, requestSeq, sentMs, ackedMs, playedMs, playedBy, totalMs, retransmittedBytes, done, ...rest } = progress
  const allRead: Nothing<typeof rest> = true
  const ids: string[] = [requestId, sessionId]
  const counts: number[] = [requestSeq, sentMs, ackedMs, retransmittedBytes]
  const by: 'played' | 'sent' | 'unknown' = playedBy
  const over: boolean = done
  console.log(allRead, ids, counts, by, over)
  return totalMs === null || playedMs === null ? null : playedMs / totalMs
}

export function misjudge(progress: Progress): void {
  // @ts-expect-error it may be null
  console.log(progress.playedMs.toFixed())
  // @ts-expect-error it has no text
  console.log(progress.text)
}

// ---- audio

export function listen(message: AudioStart | AudioChunk | AudioWaiting | AudioEnd): number {
  switch (message.type) {
    case 'start':
      // @ts-expect-error there is no such format
      if (message.format === 'ogg') return 0
      return message.sample_rate_hz * message.channels
    case 'chunk':
      const begins = (message.sentences ?? []).map((start) => start.ms + start.text.length + (start.to ?? 0) - (start.from ?? 0))
      const ends = (message.words ?? []).map((word) => word[0] + word[1] + word[2] + word[3] + word[4])
      return ends.length + message.audio.length + message.attempt + message.index + message.pts_ms + message.sentence + (message.offset ?? 0) + begins.length
    case 'waiting':
      return message.attempt
    case 'end':
      // @ts-expect-error there is no such status
      if (message.status === 'delivered') return 0
      return message.error === null ? message.total_bytes : message.error.message.length
    default:
      return unknown(message).length
  }
}
