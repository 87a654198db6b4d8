// An OraServer, in the types that are generated from docs/asyncapi-oraserver.yaml. It is compiled with the types of each
// generator and never runs. An `@ts-expect-error` fails when the line below it is no error: when a type has lost a field
// or is `any`.
import type { Chunk, Complete, End, EndStatus, Init, Metadata, Post } from './messages'

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
