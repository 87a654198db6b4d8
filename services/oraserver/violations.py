"""The rules of protocol v1 by name, and what breaks them."""

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
"""The rules of the protocol. The comment beside each name says what the rule requires."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule of the protocol. `detail` says how it was broken, and never contains the spoken text."""

    rule: Rule
    detail: str


Problems = list[Violation]
