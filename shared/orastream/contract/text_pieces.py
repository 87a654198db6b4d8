"""A text that comes in pieces: a piece on the wire, and the text that the stored pieces make. Pure.

A piece is `{"index": 0, "text": "…"}`, a JSON object or msgpack map. The last one has `"end": true`, and may have text.
Pieces may be repeated or stored in another order: the first stored piece of an index counts, a piece ahead of the next
index is held, and pieces in order are passed on. The text depends only on the stored pieces, their order in the stream
and their stored times, so every reader gets the same text and the same end.

The text also ends, with a `problem`, at a piece that cannot be decoded, makes the text too long or comes too late, and
at `{"stalled": true}`. Synth stores that message when the writer sends nothing for too long; later pieces are ignored.
A text that ends with nothing to say is no problem: it has no audio.

A piece may end with the high half of a surrogate pair whose low half begins the next piece (`surrogates`).
"""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract import codec
from orastream.contract.audio_messages import EndError
from orastream.contract.codec import Encoding, Map
from orastream.contract.errors import InvalidRequest, Undecodable
from orastream.contract.surrogates import SurrogateJoiner

MAX_PIECES = 65_536
STALLED = codec.encode({"stalled": True}, "json")
"""The message that synth stores when the writer sent nothing for `idleSeconds`."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """One piece. `index` counts from 0. `end` marks the last piece. A decoded `text` may have halves of surrogates."""

    index: int
    text: str = ""
    end: bool = False

    def encode(self, encoding: Encoding = "json") -> bytes:
        """Encode the piece. Raises UnicodeEncodeError if the text has half of a surrogate pair alone."""
        fields: Map = {"index": self.index}
        if self.text or not self.end:
            fields["text"] = self.text
        if self.end:
            fields["end"] = True
        return codec.encode(fields, encoding)

    @classmethod
    def decode(cls, payload: bytes) -> TextPiece | None:
        """Decode a piece; None for a `stalled` message. Raises InvalidRequest, which names `text`."""
        try:
            value = codec.decode(payload)
        except Undecodable as exc:
            raise _bad(exc.problem) from None
        if value.get("stalled") is True:
            return None
        index, text, end = value.get("index"), value.get("text"), value.get("end")
        if type(index) is not int or not 0 <= index < MAX_PIECES:
            raise _bad(f"needs an index from 0 to {MAX_PIECES - 1}")
        if end is not None and type(end) is not bool:
            raise _bad("has an end that is neither true nor false")
        if text is None and not end:
            raise _bad("has neither text nor end")
        if text is not None and type(text) is not str:
            raise _bad("has a text that is not a string")
        return cls(index, text or "", bool(end))


def _bad(problem: str) -> InvalidRequest:
    return InvalidRequest("text", f"a piece {problem}")


class TextPieces:
    """The text of one request, as far as it is known. Limits: `max_chars` characters, `MAX_PIECES` pieces.

    `beginning` is the text in the request. A piece stored more than `max_open_s` seconds after the first one ends the
    text: the stream keeps the audio for a limited time.
    """

    def __init__(self, beginning: str, *, max_chars: int, max_open_s: float) -> None:
        self.text = beginning
        """The beginning and all pieces that were passed on."""
        self.next_index = 0
        """Number of pieces passed on: the index of the next one."""
        self.pieces = 0
        """Number of pieces that count so far, held ones included."""
        self.ended = False
        """Whether the text has ended: no text will be added."""
        self.problem: EndError | None = None
        """Why the text ended too early; None if it is complete."""
        self._max_chars = max_chars
        self._max_open_s = max_open_s
        self._held: dict[int, str] = {}
        self._chars = len(beginning)  # characters of held pieces included
        self._last: int | None = None  # index of the last piece, once it is known
        self._first_at_s: float | None = None
        self._joiner = SurrogateJoiner()

    def receive(self, payload: bytes, stored_at_s: float) -> str:
        """Add the next message of the stream. Returns the text to pass on now, maybe empty.

        `stored_at_s` is when the stream stored it, in unix seconds of the server's clock.
        """
        if self.ended:
            return ""
        try:
            piece = TextPiece.decode(payload)
        except InvalidRequest as exc:
            return self._end(EndError(exc.code, str(exc)))
        if piece is None:
            return self.stall()
        if self._first_at_s is None:
            self._first_at_s = stored_at_s
        if stored_at_s > self._first_at_s + self._max_open_s:
            return self._end(EndError("text_stalled", f"text: was not ended within {self._max_open_s:g} s"))
        if piece.index < self.next_index or piece.index in self._held:
            return ""
        if self._last is not None and piece.index > self._last:
            return ""
        if self._chars + len(piece.text) > self._max_chars:
            problem = f"has more than {self._max_chars} characters; the rest is not spoken; end it sooner"
            return self._end(EndError("invalid_request", f"text: {problem}"))
        self._chars += len(piece.text)
        self.pieces += 1
        self._held[piece.index] = piece.text
        if piece.end and self._last is None:
            self._last = piece.index
        return self._pass_on()

    def stall(self, why: str | None = None) -> str:
        """End the text as stalled. Returns the text to pass on now, as `receive`.

        `why` is the cause, if it is not the writer's silence.
        """
        if why is not None:
            return self._end(EndError("text_stalled", f"text: {why}"))
        missing = f"; piece {self.next_index} is missing" if self._held else ""
        return self._end(EndError("text_stalled", f"text: no new piece came within idleSeconds{missing}"))

    def _pass_on(self) -> str:
        ready: list[str] = []
        while (text := self._held.pop(self.next_index, None)) is not None:
            ready.append(text)
            self.next_index += 1
        passed = self._joiner.push("".join(ready))
        self.text += passed
        if self._last is not None and self.next_index > self._last:
            passed += self._end(None)
        return passed

    def _end(self, problem: EndError | None) -> str:
        """End the text. Returns what is left to pass on: U+FFFD if half of a character waits."""
        self.ended, self.problem = True, problem
        self._held.clear()
        rest = self._joiner.finish()
        self.text += rest
        return rest
