"""The rules of protocol v2 that a single message can break, although it can be used. Pure.

Each function returns what is wrong; the message is used nevertheless.
"""

from __future__ import annotations

from collections.abc import Iterable

from orastream.contract.oraserver.from_bridge import AudioRange, OpenStream, SentenceText, StreamEnd
from services.oraserver.metadata import id_problem
from services.oraserver.v2.events import SentenceKept, Word
from services.oraserver.v2.sentences import new_words
from services.oraserver.v2.stream import ReceivingStream
from services.oraserver.v2.utterance import StreamedUtterance
from services.oraserver.violations import Problems, Violation

TIME_TOLERANCE_MS = 10


def bad_ids(message: OpenStream) -> Problems:
    """The ids of an `open` that are not valid; such an `open` is refused."""
    ids = {"session": message.session, "phone": message.phone, "request": message.request}
    found = (id_problem(value, name) for name, value in ids.items())
    return [Violation("v2-ids", problem) for problem in found if problem]


def changed(utterance: StreamedUtterance, message: OpenStream) -> Problems:
    """What an `open` says in another way than the first one of the utterance."""
    known = utterance.begun
    names = ("request", "phone", "format", "rate", "channels", "engine", "language")
    differ = [name for name in names if getattr(known, name) != getattr(message, name)]
    return [Violation("v2-changed", f"{', '.join(differ)} not as in the first open")] if differ else []


def opening(message: OpenStream, ever_acked: int | None, has_audio: bool) -> Problems:
    """What is wrong with `acked` and `fresh` of an `open`."""
    found: Problems = []
    if ever_acked is not None and message.acked > ever_acked:
        found.append(Violation("v2-acked", f"acked {message.acked}, but upto was never above {ever_acked}"))
    if message.fresh and has_audio:
        found.append(Violation("v2-fresh", "fresh, but audio of the utterance was received before"))
    return found


def audio(stream: ReceivingStream, message: AudioRange) -> Problems:
    """What is wrong with the time and the moment of an `audio`."""
    found: Problems = []
    if stream.opened_at is not None and not stream.fresh:
        found.append(Violation("v2-before-opened", "audio before opened, without fresh"))
    timeline = stream.utterance.timeline
    if message.ms is not None and timeline.exact:
        true = timeline.ms_of(message.at)
        if abs(true - message.ms) > TIME_TOLERANCE_MS:
            found.append(Violation("v2-audio-time", f"ms {message.ms} at {message.at}, which is {true:.0f} ms"))
    return found


def sentence(stream: ReceivingStream, message: SentenceText) -> Problems:
    """What is wrong with a sentence: too late, out of order, or its ranges and words."""
    found: Problems = []
    known = stream.utterance.sentences.get(message.number)
    if known is None and _late(stream, message.ms + 1):
        detail = f"sentence {message.number} begins at {message.ms} ms, and later audio came before it"
        found.append(Violation("v2-text-late", detail))
    number, ms = stream.last_sentence
    if message.number < number:
        found.append(Violation("v2-text-order", f"sentence {message.number} after sentence {number}"))
    elif message.ms < ms:
        detail = f"sentence {message.number} begins at {message.ms} ms, before the one before it ({ms} ms)"
        found.append(Violation("v2-text-order", detail))
    elif (message.number, message.ms) == (number, ms) and not message.words:
        found.append(Violation("v2-text-order", f"sentence {number} came again on its stream, without words"))
    late = [word for word in new_words(known, message) if _late(stream, word[3] + TIME_TOLERANCE_MS)]
    if late:
        detail = f"a word of sentence {message.number} ends at {late[0][3]} ms, and later audio came before it"
        found.append(Violation("v2-text-late", detail))
    found += _ranges(stream.utterance.sentences, message)
    return found


def _late(stream: ReceivingStream, ms: int) -> bool:
    """Whether audio of that time or later came on this stream."""
    timeline = stream.utterance.timeline
    if timeline.exact:
        return stream.own_end > max(timeline.offset_of(ms), timeline.offset_of(1))
    return stream.last_mark_ms >= ms


def _ranges(sentences: dict[int, SentenceKept], message: SentenceText) -> Problems:
    """Ranges of code points: each in order, and apart from those of the other sentences."""
    n, first, past = message.number, message.first, message.past
    found: Problems = []
    if (first is None) != (past is None):
        found.append(Violation("v2-text-range", f"sentence {n} has only one of from and to"))
    elif first is not None and past is not None:
        if first > past:
            found.append(Violation("v2-text-range", f"sentence {n} is from {first} to {past}"))
        for other in sentences.values():
            if other.n == n or other.first is None or other.past is None:
                continue
            if (other.past > first) if other.n < n else (other.first < past):
                detail = f"sentence {n} ({first} to {past}), sentence {other.n} ({other.first} to {other.past})"
                found.append(Violation("v2-text-range", detail))
    if message.words and not _words_in_order(message.words, message):
        found.append(Violation("v2-text-range", f"words of sentence {n} are out of order, or outside of it"))
    return found


def _words_in_order(words: Iterable[Word], message: SentenceText) -> bool:
    """Whether the words are in order and inside of the sentence. Words that are said for one number share a place."""
    place, time = message.first or 0, message.ms
    for first, length, begin, end in words:
        inside = message.past is None or first + length <= message.past
        if first < place or not inside or end < begin or begin < time - TIME_TOLERANCE_MS:
            return False
        place, time = first, begin
    return True


def ending(stream: ReceivingStream, message: StreamEnd) -> Problems:
    """What is wrong with the size and the duration of an `end`."""
    found: Problems = []
    if message.size != stream.sent_end:
        detail = f"size {message.size}, but the audio ends at {stream.sent_end}"
        found.append(Violation("v2-end-size", detail))
    timeline = stream.utterance.timeline
    if timeline.exact:
        true = timeline.ms_of(message.size)
        if abs(true - message.ms) > TIME_TOLERANCE_MS:
            found.append(Violation("v2-end-time", f"ms {message.ms}, but {message.size} bytes are {true:.0f} ms"))
    return found
