"""Which `text` messages of protocol v2 go before the audio of a chunk. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.oraserver.from_bridge import SentenceText
from orastream.contract.sentence_start import SentenceStart


def texts_of(chunk: AudioChunk, began: SentenceStart | None = None) -> Iterable[SentenceText]:
    """Returns a `text`, without the stream's number, for each sentence that begins in the chunk, in order.

    `began`: a sentence that began in an earlier chunk and is to be sent again: it comes first. Each `text` has those of
    the chunk's words that belong to its sentence. Words of any other sentence are left out.
    """
    sentences = chunk.sentences if began is None else (began, *chunk.sentences)
    return [_text_of(sentence, chunk) for sentence in sentences] if sentences else ()


def _text_of(sentence: SentenceStart, chunk: AudioChunk) -> SentenceText:
    words = [
        (word.first, word.end - word.first, word.begin_ms, word.end_ms)
        for word in chunk.words
        if word.sentence == sentence.number
    ]
    place = sentence.first, sentence.end
    return SentenceText(1, sentence.number, sentence.ms, sentence.text, *place, tuple(words) or None)
