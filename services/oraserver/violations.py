"""The rules of protocol v1 and v2 by name, and what breaks them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rule = Literal[
    "header-missing",  # the handshake has phone-id and session-id
    "header-mismatch",  # these headers are the ids of `init`
    "not-json",  # a frame is one JSON object in UTF-8
    "binary-frame",  # all frames are text
    "unknown-frame",  # a frame is init, chunk, complete or an end frame
    "frame-keys",  # a frame has exactly the keys of its kind
    "init-first",  # no frame comes before `init`
    "init-once",  # a connection has one `init`
    "init-ids",  # ids are 1…256 bytes without control characters
    "metadata-keys",  # metadata has exactly the six keys, and perhaps sampleRate
    "metadata-value",  # its values are strings and not empty, and its ids are valid; sampleRate is an integer from 1
    "metadata-changed",  # its values are the same in every frame of an utterance, except `text`
    "texts",  # the text of `complete` contains the texts of the chunks in order
    "session-mismatch",  # session and phone of an utterance are those of `init`
    "transport-changed",  # an utterance comes over WebSocket only, or over HTTP only
    "file-name",  # a file name is <request token>.<ext>
    "base64",  # audio is in padded standard base64
    "empty-audio",  # every chunk has audio
    "chunk-index",  # an index is an integer from 0
    "is-first",  # isFirst is true on index 0 and false on all others
    "gap",  # a new chunk's index is the number of chunks received before
    "repeat-differs",  # a repeat has the same bytes
    "chunk-after-complete",  # no new chunk comes after `complete`
    "frame-after-end",  # nothing follows an end frame, but what another connection brings after `failed`
    "end-repeated",  # a connection brings one end frame of an utterance
    "total-chunks",  # totalChunks is the number of chunks sent
    "interleaved",  # the utterances of a session and phone come in turn; an end frame ends the later ones, too
    "wav-sizes",  # the header of a POSTed WAV has its true sizes
]
"""The rules of protocol v1. The comment beside each name says what the rule requires."""

StreamRule = Literal[
    "v2-text-frame",  # all frames are binary
    "v2-frame",  # a frame is one msgpack map, with the keys of its type
    "v2-frame-size",  # a frame that is not audio has at most 256 KiB
    "v2-hello",  # the first frame is a `hello` of version 2, and there is one
    "v2-stream-number",  # the number of a stream is higher than all before on the connection
    "v2-streams",  # a connection has at most `streams` unfinished streams
    "v2-unknown-stream",  # audio, text and end are of a stream that was opened
    "v2-ids",  # ids are 1…256 bytes without control characters
    "v2-format",  # the format is one of `formats`
    "v2-try",  # `try` is higher with each `open` of a session and epoch
    "v2-order",  # when an utterance is opened, all lower ones of its session have ended
    "v2-changed",  # an utterance has the same ids, format and language in each `open`
    "v2-acked",  # `acked` is at most what was ever acknowledged
    "v2-fresh",  # `fresh` only if no audio of the utterance can have been sent
    "v2-before-opened",  # without `fresh`, no audio comes before `opened`
    "v2-limit",  # audio stays below `limit`
    "v2-size",  # audio stays below `size`, and each `end` of an utterance has one size
    "v2-crc",  # audio has the right checksum, if `hello` asks for one
    "v2-bytes-differ",  # the bytes of an offset are always the same
    "v2-audio-time",  # `ms` is the time of the sample at `at`
    "v2-text-late",  # a sentence comes before the audio in which it begins
    "v2-text-order",  # the numbers and times of sentences rise
    "v2-text-range",  # sentences and words have ranges of their own, in order
    "v2-end-size",  # `size` is what was sent
    "v2-end-time",  # `ms` of `end` is the duration of the file
    "v2-after-end",  # no text comes after `end`, and no second `end`
    "v2-after-cancel",  # nothing comes of a stream after a `cancel` of it on the same connection
    "v2-file",  # a complete file has a valid header of its format
]
"""The rules of protocol v2 (docs/reference/oraserver-v2.md)."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule of the protocol. `detail` says how it was broken, and never contains the spoken text."""

    rule: Rule | StreamRule
    detail: str


Problems = list[Violation]
