"""Splits the text of an utterance into what was heard and what was not, by the time that was played. Pure."""

from __future__ import annotations

from typing import NamedTuple

from orastream.contract.heard import Cut
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.spoken_text import SpokenText, TimedSentence, is_space


class HeardText(NamedTuple):
    """The two parts of a text, and how the place between them was found; `cut` None: it is not within a sentence."""

    heard: str
    unheard: str
    cut: Cut | None


def heard_text(
    spoken: SpokenText, played_ms: int, *, audio_ms: int, complete: bool = True, source: str | None = None
) -> HeardText:
    """Split the text of an utterance of which `played_ms` milliseconds were heard.

    A word counts as heard if some of it was. `audio_ms` is the length of the audio that is known; if it is `complete`,
    its end is the end of the text. `source` is the text of the request, None for SSML and for a streamed text: then the
    parts are put together from the sentences in `spoken`, so a sentence that is not among them is in no part.
    """
    sentences = spoken.sentences(audio_ms)
    if complete and played_ms >= audio_ms:
        whole = _joined(spoken.starts, (0, 0), (len(sentences), 0)) if source is None else source.strip()
        return HeardText(whole, "", None)
    at, offset, cut = _place_of(sentences, played_ms)
    if source is None or (place := _in_source(spoken.starts, at, offset, len(source))) is None:
        ends = (0, 0), (at, offset), (len(sentences), 0)
        return HeardText(_joined(spoken.starts, *ends[:2]), _joined(spoken.starts, *ends[1:]), cut)
    return HeardText(source[:place].strip(), source[place:].strip(), cut)


def plain_source(text: str | None, spoken: SpokenText) -> str | None:
    """Return the text if its sentences stand in it as they were spoken; None if not, as in SSML, or if it is None."""
    if text is None or any(
        start.first is None or text[start.first : start.end] != start.text for start in spoken.starts
    ):
        return None
    return text


def _place_of(sentences: list[TimedSentence], played_ms: int) -> tuple[int, int, Cut | None]:
    """Where the heard part ends: a sentence, how many characters of it were heard, and how that was found."""
    for number, sentence in enumerate(sentences):
        if played_ms < sentence.until_ms or played_ms <= sentence.begin_ms:
            offset, cut = _heard_of(sentence, played_ms)
            return number, offset, cut if offset else None
    return len(sentences), 0, None


def _heard_of(sentence: TimedSentence, played_ms: int) -> tuple[int, Cut | None]:
    """How many characters of this sentence were heard, and how that was found."""
    text = sentence.text
    if played_ms <= sentence.begin_ms:
        return 0, None
    if sentence.words:
        heard = [word for word in sentence.words if word.begin_ms < played_ms]
        if not heard:
            return 0, None
        end = heard[-1].end
        if len(heard) == len(sentence.words) and played_ms >= heard[-1].end_ms:
            return len(text), None
        return (_with_marks(text, end) if played_ms >= heard[-1].end_ms else end), "words"
    share = (played_ms - sentence.begin_ms) / max(sentence.until_ms - sentence.begin_ms, 1)
    return _word_end(text, min(int(share * len(text)), len(text) - 1)), "proportion"


def _with_marks(text: str, end: int) -> int:
    """The end of the marks that stand at a word."""
    while end < len(text) and not (is_space(text[end]) or text[end].isalnum()):
        end += 1
    return end


def _word_end(text: str, at: int) -> int:
    """The end of the word in which this character stands; of the one before it if it is white space."""
    if at < 0 or is_space(text[at]):
        return max(at, 0)
    while at < len(text) and not is_space(text[at]):
        at += 1
    return at


def _in_source(starts: tuple[SentenceStart, ...], at: int, offset: int, length: int) -> int | None:
    """Where in the source, of `length` characters, the heard part ends; None if it is not known."""
    if not starts:
        return 0
    start = starts[min(at, len(starts) - 1)]
    if start.first is None or start.end is None or start.end - start.first != len(start.text) or start.end > length:
        return None  # the sentence does not stand there character for character
    return start.end if at == len(starts) else start.first + offset


def _joined(starts: tuple[SentenceStart, ...], begin: tuple[int, int], end: tuple[int, int]) -> str:
    """The text between two places, each a sentence and a character of it."""
    parts: list[str] = []
    for number in range(begin[0], min(end[0] + 1, len(starts))):
        start = starts[number]
        text = start.text[begin[1] if number == begin[0] else 0 : end[1] if number == end[0] else None]
        adjacent = number > begin[0] and starts[number - 1].end is not None and starts[number - 1].end == start.first
        parts.append(text if adjacent or number == begin[0] else f" {text}")
    return "".join(parts).strip()
