"""Splits the text of an utterance into what was heard and what was not, by the time that was played. Pure."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import NamedTuple

from orastream.contract.heard import Cut
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.source_runs import SourceSpan
from orastream.contract.spoken_text import SpokenText, TimedSentence, is_space


class HeardText(NamedTuple):
    """The two parts of a text, and how the place between them was found; `cut` None: it is not within a sentence."""

    heard: str
    unheard: str
    cut: Cut | None


def heard_text(
    spoken: SpokenText,
    played_ms: int,
    *,
    audio_ms: int,
    complete: bool = True,
    source: str | None = None,
    document: str | None = None,
) -> HeardText:
    """Split the text of an utterance of which `played_ms` milliseconds were heard.

    A word counts as heard if some of it was. `audio_ms` is the length of the audio that is known; if it is `complete`,
    its end is the end of the text. `source` is the text of the request, None for SSML and for a streamed text: then the
    parts are put together from the sentences in `spoken`, so a sentence that is not among them is in no part.
    `document` is the SSML of the request: its words have no times without it.

    Each character of the text that is no white space is in one part, in its order, and what was heard grows with
    `played_ms`. A sentence that was spoken again was heard from its last start on.
    """
    sentences = spoken.sentences(audio_ms, source=document if source is None else source)
    if complete and played_ms >= audio_ms:
        whole = _joined(spoken.starts, (0, 0), (len(sentences), 0)) if source is None else source.strip()
        return HeardText(whole, "", None)
    if not complete and sentences:
        sentences[-1] = _unfinished(sentences)
    at, offset, cut = _place_of(sentences, played_ms, complete=complete)
    if source is None:
        ends = (0, 0), (at, offset), (len(sentences), 0)
        return HeardText(_joined(spoken.starts, *ends[:2]), _joined(spoken.starts, *ends[1:]), cut)
    place = _in_source(spoken.starts, at, offset, source)
    return HeardText(source[:place].strip(), source[place:].strip(), cut)


def plain_source(text: str | None, spoken: SpokenText) -> str | None:
    """Return the text if its sentences stand in it as they were spoken; None if not, as in SSML, or if it is None."""
    if text is None or any(
        start.first is None or text[start.first : start.end] != start.text for start in spoken.starts
    ):
        return None
    return text


def _unfinished(sentences: list[TimedSentence]) -> TimedSentence:
    """The last sentence, of which more audio may follow: it ends when it would at the pace of those before it."""
    *before, last = sentences
    spoken_ms = sum(sentence.until_ms - sentence.begin_ms for sentence in before)
    chars = sum(len(sentence.text) for sentence in before)
    if last.words or not chars:
        return last
    until_ms = last.begin_ms + spoken_ms * len(last.text) // chars
    return TimedSentence(last.text, last.begin_ms, max(last.until_ms, until_ms), ())


def _place_of(sentences: list[TimedSentence], played_ms: int, *, complete: bool) -> tuple[int, int, Cut | None]:
    """Where the heard part ends: a sentence, how many characters of it were heard, and how that was found."""
    for number, sentence in enumerate(sentences):
        last = number == len(sentences) - 1
        if played_ms < sentence.until_ms or played_ms <= sentence.begin_ms or last:
            offset, cut = _heard_of(sentence, played_ms, whole=complete or not last)
            return number, offset, cut if offset else None
    return 0, 0, None


def _heard_of(sentence: TimedSentence, played_ms: int, *, whole: bool) -> tuple[int, Cut | None]:
    """How many characters of this sentence were heard, and how that was found. If not `whole`, more words may come."""
    text = sentence.text
    if played_ms <= sentence.begin_ms:
        return 0, None
    if sentence.words:
        heard = [word for word in sentence.words if word.begin_ms < played_ms]
        if not heard:
            return 0, None
        end = heard[-1].end
        if played_ms >= heard[-1].end_ms:
            end = len(text) if whole and len(heard) == len(sentence.words) else _with_marks(text, end)
        return end, None if end == len(text) else "words"
    share = min((played_ms - sentence.begin_ms) / max(sentence.until_ms - sentence.begin_ms, 1), 1.0)
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


def _in_source(starts: tuple[SentenceStart, ...], at: int, offset: int, source: str) -> int:
    """Where in the source the heard part ends."""
    if not starts or (at, offset) == (0, 0):
        return 0  # also what stands before the first sentence and is not spoken, such as marks, was not heard
    first, end = _spans(starts, source)[at]
    text, written = starts[at].text, source[first:end]
    if len(text) == len(written):  # the sentence stands there character for character
        return first + offset
    if text.split() == written.split():  # only the white space is different
        wanted = sum(not char.isspace() for char in text[:offset])
        counts = accumulate(not char.isspace() for char in written)
        return first + next((place for place, count in enumerate(counts, 1) if count >= wanted), 0) if wanted else first
    return end if offset == len(text) else first + _word_end(written, offset * len(written) // max(len(text), 1) - 1)


def _spans(starts: tuple[SentenceStart, ...], source: str) -> list[SourceSpan]:
    """Where each sentence stands in the source: in order, none in another one.

    Sentences without a place divide what lies between their neighbours' places, in proportion to their lengths.
    """
    spans: list[SourceSpan] = []
    lost: list[int] = []  # the lengths of the sentences without a place since the last one with a place
    for start in (*starts, SentenceStart(0, 0, "", len(source), len(source))):
        if start.first is None or start.end is None:
            lost.append(max(len(start.text), 1))
            continue
        before = spans[-1][1] if spans else 0
        first = min(max(start.first, before), len(source))
        whole = max(sum(lost), 1)
        spans += pairwise(before + (first - before) * part // whole for part in accumulate(lost, initial=0))
        lost.clear()
        spans.append((first, min(max(start.end, first), len(source))))
    return spans[:-1]


def _joined(starts: tuple[SentenceStart, ...], begin: tuple[int, int], end: tuple[int, int]) -> str:
    """The text between two places, each a sentence and a character of it."""
    parts: list[str] = []
    for number in range(begin[0], min(end[0] + 1, len(starts))):
        start = starts[number]
        text = start.text[begin[1] if number == begin[0] else 0 : end[1] if number == end[0] else None]
        if not text:
            continue
        adjacent = number > begin[0] and starts[number - 1].end is not None and starts[number - 1].end == start.first
        parts.append(text if adjacent else f" {text}")
    return "".join(parts).strip()
