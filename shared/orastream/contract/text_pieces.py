"""A text that comes in pieces: what a piece is on the wire, and the text that the stored ones make. Pure.

A piece is `{"index": 0, "text": "…"}`, a JSON object or msgpack map; the last one has `"end": true`, and may have text.
Indexes make repeats, resends and another order harmless: of each index the first one stored counts, what is ahead is
held, the contiguous run is passed on. All of it follows from the pieces in the order of the stream and the times that
the stream gave them, so every reader, at any time, in any process, comes to the same text and the same end.

The text also ends, with a `problem`, at a piece that cannot be read, at one that makes it too long or comes too late,
and at `{"stalled": true}`, by which synth ends a text whose writer is silent: once that is stored, nothing that comes
after it can change what was spoken.
"""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract import codec
from orastream.contract.audio_messages import EndError
from orastream.contract.codec import Encoding, Map
from orastream.contract.errors import InvalidRequest, Undecodable
from orastream.contract.messages import NOTHING_TO_SAY, sayable

MAX_PIECES = 65_536
STALLED = codec.encode({"stalled": True}, "json")
"""What synth stores when the writer was silent for too long."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """One piece: `index` from 0; `end`, there are no more."""

    index: int
    text: str = ""
    end: bool = False

    def encode(self, encoding: Encoding = "json") -> bytes:
        """The piece on the wire."""
        fields: Map = {"index": self.index}
        if self.text or not self.end:
            fields["text"] = self.text
        if self.end:
            fields["end"] = True
        return codec.encode(fields, encoding)

    @classmethod
    def decode(cls, payload: bytes) -> TextPiece | None:
        """A piece from the wire, None for the mark of a stalled text. Raises InvalidRequest naming `text`."""
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
            raise _bad("has a text that is no string")
        return cls(index, check_text(text or ""), bool(end))


def check_text(text: str) -> str:
    """The text itself when it can be spoken and sent. Raises InvalidRequest for lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _bad("contains a lone surrogate; send whole characters") from None
    return text


def _bad(problem: str) -> InvalidRequest:
    return InvalidRequest("text", f"a piece {problem}")


class TextPieces:
    """The text of one request, as far as it is known. Bounded: `max_chars` of text, `MAX_PIECES` pieces.

    `beginning` is what the request itself brought. A piece stored more than `max_open_s` after the first one is too
    late: speech is only kept for so long.
    """

    def __init__(self, beginning: str, *, max_chars: int, max_open_s: float) -> None:
        self.text = beginning
        """All that was passed on."""
        self.next_index = 0
        """Pieces passed on."""
        self.pieces = 0
        """Pieces that count so far, held ones included."""
        self.ended = False
        """Whether no text will be added."""
        self.problem: EndError | None = None
        """Why the text is not what its writer wanted, once it has ended."""
        self._max_chars = max_chars
        self._max_open_s = max_open_s
        self._held: dict[int, str] = {}
        self._chars = len(beginning)  # held ones too
        self._last: int | None = None  # index of the last piece, once it is known
        self._first_at_s: float | None = None

    def receive(self, payload: bytes, stored_at_s: float) -> str:
        """The text that can be passed on now that this message, the next one of the stream, is known.

        `stored_at_s` is the time that the stream gave it.
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
            problem = f"has more than {self._max_chars} characters, what is beyond is not spoken; end it sooner"
            return self._end(EndError("invalid_request", f"text: {problem}"))
        self._chars += len(piece.text)
        self.pieces += 1
        self._held[piece.index] = piece.text
        if piece.end and self._last is None:
            self._last = piece.index
        return self._pass_on()

    def stall(self) -> str:
        """The text ends here: nothing has come for too long."""
        missing = f"; piece {self.next_index} is missing" if self._held else ""
        return self._end(EndError("text_stalled", f"text: no more of it came within idleSeconds{missing}"))

    def _pass_on(self) -> str:
        run: list[str] = []
        while (text := self._held.pop(self.next_index, None)) is not None:
            run.append(text)
            self.next_index += 1
        passed = "".join(run)
        self.text += passed
        if self._last is not None and self.next_index > self._last:
            self._end(None)
        return passed

    def _end(self, problem: EndError | None) -> str:
        self.ended = True
        self._held.clear()
        if problem is None and not sayable(self.text):
            problem = EndError("invalid_request", f"text: {NOTHING_TO_SAY}")
        self.problem = problem
        return ""
