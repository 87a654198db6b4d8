// An OraServer, in the types that are generated from docs/asyncapi-oraserver.yaml. It is compiled with the types of each
// generator and never runs. An `@ts-expect-error` fails when the line below it is no error: when a type has lost a field
// or is `any`.
import type {
  AudioRange, BridgeHello, CancelUtterances, Chunk, Complete, End, EndStatus, Init, Metadata, OpenStream, PlayedUntil, Post, SentenceText,
  ServerError, ServerHello, StreamAck, StreamEnd, StreamEndStatus, StreamOpened, UtterancesCleared,
} from './messages'

type Frame = Init | Chunk | Complete | End

const utterances = new Map<string, string[]>()

export function receive(data: string): void {
  const frame: Frame = JSON.parse(data)
  if ('type' in frame) {
    const type: 'init' = frame.type
    console.log(type, frame.session_id.length, frame.phone_id.length)
  } else if ('status' in frame && frame.status !== 'complete') {
    const how: EndStatus = frame.status
    console.log(how === 'cancelled', utterances.delete(key(frame.metadata)))
  } else if ('status' in frame) {
    const status: 'complete' = frame.status
    const chunks: number = frame.totalChunks
    console.log(status, chunks === utterances.get(key(frame.metadata))?.length)
  } else {
    const first: boolean = frame.isFirst
    const chunks = first ? [] : (utterances.get(key(frame.metadata)) ?? [])
    chunks[frame.chunkIndex] = frame.audioDataBase64
    utterances.set(key(frame.metadata), chunks)
    console.log(frame.fileName.length)
  }
}

export function store(post: Post): [string, string, string] {
  return [post.fileName, post.audioDataBase64, key(post.metadata)]
}

function key(metadata: Metadata): string {
  const fields: string[] = [
    metadata.sessionId, metadata.requestId, metadata.phoneId, metadata.text, metadata.engine, metadata.language,
  ]
  return fields.join('/')
}

const metadata: Metadata = { sessionId: 's1', requestId: 'r1', phoneId: 'p1', text: '안녕하세요', engine: 'espeak', language: 'ko-KR' }

export const init: Init = { type: 'init', session_id: 's1', phone_id: 'p1' }
export const chunk: Chunk = { audioDataBase64: 'UklGRg==', fileName: 'r1.wav', chunkIndex: 0, isFirst: true, metadata }
export const complete: Complete = { status: 'complete', totalChunks: 1, metadata }
export const end: End = { status: 'failed', metadata: { ...metadata, sampleRate: 8000 } }
export const post: Post = { audioDataBase64: 'UklGRg==', fileName: 'r1.wav', metadata }

// @ts-expect-error there is no such type
export const wrongType: Init = { ...init, type: 'start' }
// @ts-expect-error there is no such status
export const wrongStatus: Complete = { ...complete, status: 'lost' }
// @ts-expect-error complete is the status of another frame
export const wrongEnd: End = { ...end, status: 'complete' }
// @ts-expect-error a rate is a number
export const wrongRate: Metadata = { ...metadata, sampleRate: '8000' }
// @ts-expect-error phone_id is required
export const withoutPhone: Init = { type: 'init', session_id: 's1' }
// @ts-expect-error metadata is required
export const withoutMetadata: Chunk = { audioDataBase64: 'UklGRg==', fileName: 'r1.wav', chunkIndex: 0, isFirst: true }
// @ts-expect-error a number is no string
export const wrongIndex: Chunk = { ...chunk, chunkIndex: '0' }
// @ts-expect-error a post has no chunkIndex
export const wrongPost: Post = { ...post, chunkIndex: 0 }
// @ts-expect-error an id is a string
export const wrongMetadata: Metadata = { ...metadata, requestId: 7 }
// @ts-expect-error language is required
export const withoutLanguage: Metadata = { sessionId: 's1', requestId: 'r1', phoneId: 'p1', text: '안녕하세요', engine: 'espeak' }

// ---- protocol v2

type FromBridge = BridgeHello | OpenStream | SentenceText | AudioRange | StreamEnd | CancelUtterances
type FromServer = ServerHello | StreamOpened | StreamAck | PlayedUntil | UtterancesCleared | ServerError

const credit = 262144
const stored = new Map<number, { upto: number; session: string; seq: number }>()

export const hello: ServerHello = { t: 'hello', version: 2, credit, streams: 1000, formats: ['wav', 'opus'], keep_ms: 600000 }

/** What OraServer answers. `seen` counts the binary frames of the connection. */
export function take(frame: FromBridge, seen: number): FromServer | null {
  switch (frame.t) {
    case 'hello': {
      const names: string[] = [frame.node, frame.bridge, frame.software]
      console.log(frame.version, names)
      return null
    }
    case 'open': {
      const fence: [number, number] = [frame.epoch, frame.try]
      const file: [string, number, number] = [frame.format, frame.rate, frame.channels]
      const fresh: boolean = frame.fresh ?? false
      console.log(fence, file, fresh, frame.acked, frame.phone, frame.request, frame.engine, frame.language)
      const { upto } = stored.get(frame.s) ?? { upto: 0 }
      stored.set(frame.s, { upto, session: frame.session, seq: frame.seq })
      return { t: 'opened', s: frame.s, upto, limit: upto + credit, ranges: [[upto + 10, upto + 20]] }
    }
    case 'text': {
      const place: (number | null | undefined)[] = [frame.from, frame.to]
      for (const [first, length, begin, end] of frame.words ?? []) console.log(first + length, end - begin)
      console.log(frame.n, frame.ms, frame.text, place)
      return null
    }
    case 'audio': {
      const crc: number | null | undefined = frame.crc
      const upto = frame.at + frame.data.length
      console.log(crc, frame.ms)
      return { t: 'ack', s: frame.s, upto, limit: upto + credit, seen }
    }
    case 'end': {
      const status: StreamEndStatus = frame.status
      console.log(status === 'failed' ? frame.code : frame.ms)
      return { t: 'ack', s: frame.s, upto: frame.size, limit: frame.size, seen, size: frame.size, skipped: null }
    }
    case 'cancel':
      return { t: 'cleared', session: frame.session, utterances: [['r1', frame.seq ?? 1, 1840]], before: frame.before, seq: frame.seq }
    default:
      return never(frame)
  }
}

function never(frame: never): null {
  console.log('a message of a later version', frame)
  return null
}

export const played: PlayedUntil = { t: 'played', s: 7, ms: 1840, done: true }
export const failed: ServerError = { t: 'error', code: 'stale_epoch', message: 'an older owner', s: 7, session: null, fatal: false }

// @ts-expect-error seen is required
export const withoutSeen: StreamAck = { t: 'ack', s: 7, upto: 0, limit: 0 }
// @ts-expect-error an ack is no opened
export const wrongAnswer: StreamOpened = { t: 'ack', s: 7, upto: 0, limit: 0 }
// @ts-expect-error offsets are numbers
export const wrongRanges: StreamOpened = { t: 'opened', s: 7, upto: 0, limit: 0, ranges: [['0', '1']] }
// @ts-expect-error a required key is never null
export const nullLimit: StreamOpened = { t: 'opened', s: 7, upto: 0, limit: null }
// @ts-expect-error there is no such status
export const cancelledEnd: StreamEnd = { t: 'end', s: 7, status: 'cancelled', size: 0, ms: 0 }
// @ts-expect-error formats are strings
export const wrongFormats: ServerHello = { ...hello, formats: [1] }
