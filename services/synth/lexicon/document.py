"""What stands in a lexicon: languages, words and readings. Checks it and chooses the readings of one engine. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from orastream.contract.pronunciations import reading_problem, shown, word_problem
from services.synth.engines import phonemes
from services.synth.reading.lexicon import EVERY_LANGUAGE, Pronunciation

MAX_WORDS = 10_000
"""Words of one lexicon, in all languages."""

_TAG = re.compile(r"(?P<code>[A-Za-z]{2,3})(?:-[A-Za-z0-9]{1,8}){0,4}")
# ISO 639-1. A code of three letters (ISO 639-2, -3) is not compared with a list.
_CODES = frozenset(
    """aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en
    eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu iw ja jv
    ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng
    nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv
    sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu""".split()
)
_COUNTRIES = {"kr": "ko", "jp": "ja", "cn": "zh", "us": "en", "gb": "en"}
"""Codes of countries that people write for the language. kr is Kanuri by the list: its other code, kau, is accepted."""


@dataclass(frozen=True, slots=True)
class LexiconNode:
    """A part of the document: a text, or keys with their values; with neither it is a list."""

    line: int
    """Counted from 1."""
    text: str | None = None
    pairs: tuple[tuple[LexiconNode, LexiconNode], ...] | None = None


class LexiconError(Exception):
    """The lexicon is wrong. The message names the place in it and the fix."""

    def __init__(self, line: int | None, problem: str) -> None:
        """`line` is None if the problem has none."""
        super().__init__(problem)
        self.line = line


def sections_of(root: LexiconNode | None, engine: str, engines: Collection[str]) -> dict[str, dict[str, Pronunciation]]:
    """Returns the words of each language with what `engine` says for them. None is an empty document.

    `engines` are the names that an entry may have, those of TTS_ENGINE. Raises LexiconError.
    """
    if root is None:
        return {}
    if root.pairs is None:
        raise LexiconError(root.line, 'the file has no languages; begin with one: "ko:", and its words in lines below')
    sections: dict[str, dict[str, Pronunciation]] = {}
    seen: set[str] = set()
    words = 0
    for key, value in root.pairs:
        if value.text:  # before the check of the key, which is no language: SQL: 시퀄 in the first column
            problem = 'has no words; write a language, such as "ko:", and below it "  SQL: 시퀄"'
            raise LexiconError(value.line, f"{_name(key)}: {problem}")
        tag = _tag(key)
        if tag.lower() in seen:
            raise LexiconError(key.line, f"{tag}: the language is there twice; put its words together")
        seen.add(tag.lower())
        sections[tag] = {}
        for word, pronunciation in _words(tag, value, engine, engines):
            words += 1
            if words > MAX_WORDS:
                raise LexiconError(value.line, f"{tag}: the lexicon has more than {MAX_WORDS} words; leave some out")
            sections[tag][word] = pronunciation
    return sections


def requested(pronunciations: Mapping[str, str], engine: str) -> dict[str, Pronunciation]:
    """Returns the words of a request with what `engine` says for them, without those that it cannot say."""
    said = ((word, phonemes.said_by(engine, reading)) for word, reading in pronunciations.items())
    return {word: Pronunciation(reading) for word, reading in said if reading is not None}


def _tag(key: LexiconNode) -> str:
    tag = key.text
    if tag == EVERY_LANGUAGE:
        return tag
    match = _TAG.fullmatch(tag or "")
    if match is None:
        raise LexiconError(key.line, f'{_name(key)}: is no language; write a tag such as ko, en or ko-KR, or "*"')
    code = match["code"].lower()
    if (language := _COUNTRIES.get(code)) is not None:
        raise LexiconError(key.line, f"{tag}: is the code of a country; write the language: {language}")
    if len(code) == 2 and code not in _CODES:
        raise LexiconError(key.line, f'{tag}: is an unknown language; write a tag such as ko, en or ko-KR, or "*"')
    return match[0]


def _words(
    tag: str, section: LexiconNode, engine: str, engines: Collection[str]
) -> Iterator[tuple[str, Pronunciation]]:
    if section.pairs is None:
        if section.text == "":
            return  # a language without words yet
        raise LexiconError(section.line, f'{tag}: has no words; write one in a line, such as "  SQL: 시퀄"')
    seen: set[str] = set()
    for key, value in section.pairs:
        if key.text is None:
            raise LexiconError(key.line, f"{tag}: a word is a list or a mapping; write it as text, in quotes")
        place = f"{tag}.{_name(key)}"
        problem = word_problem(key.text)
        if problem is not None:
            raise LexiconError(key.line, f"{place}: {problem}")
        word = unicodedata.normalize("NFC", key.text.strip())
        if word in seen:
            raise LexiconError(key.line, f"{place}: the word is there twice; keep one")
        seen.add(word)
        yield word, _entry(place, value, engine, engines)


def _entry(place: str, value: LexiconNode, engine: str, engines: Collection[str]) -> Pronunciation:
    if value.text is not None:
        return Pronunciation(_plain(place, value))
    if value.pairs is None:
        raise LexiconError(value.line, f"{place}: is a list; write one reading, in quotes if it has brackets")
    fields: dict[str, LexiconNode] = {}
    for key, given in value.pairs:
        name = key.text or ""
        if name in fields:
            raise LexiconError(key.line, f"{place}: {_name(key)} is there twice; keep one")
        if name not in ("reading", "case") and name not in engines:
            known = ", ".join(["reading", "case", *sorted(engines)])
            raise LexiconError(key.line, f"{place}: there is no {_name(key)}; an entry has {known}")
        fields[name] = given
    reading, case = fields.pop("reading", None), fields.pop("case", None)
    if reading is None:
        raise LexiconError(value.line, f"{place}: the reading is missing; write reading: and the words to be said")
    if case is not None and case.text != "exact":
        raise LexiconError(case.line, f"{place}: case must be exact; or leave it out")
    said = {name: _of_engine(f"{place}.{name}", given, name) for name, given in fields.items()}
    plain = _plain(f"{place}.reading", reading)
    return Pronunciation(said.get(engine, plain), case is not None)


def _of_engine(place: str, value: LexiconNode, engine: str) -> str:
    said = phonemes.said_by(engine, _reading(place, value))
    if said is None:
        takes = ", ".join(sorted(phonemes.ENGINES))
        raise LexiconError(value.line, f"{place}: only {takes} takes phonemes; write the words to be said")
    return said


def _plain(place: str, value: LexiconNode) -> str:
    reading = _reading(place, value)
    if reading.startswith("[["):
        fix = f'put them under the name of an engine: {{reading: …, {min(phonemes.ENGINES)}: "{shown(reading)}"}}'
        raise LexiconError(value.line, f"{place}: phonemes are for one engine; {fix}")
    return reading


def _reading(place: str, value: LexiconNode) -> str:
    if value.text is None:
        raise LexiconError(value.line, f"{place}: is a list or a mapping; write text, in quotes if it has brackets")
    problem = reading_problem(value.text)
    if problem is not None:
        raise LexiconError(value.line, f"{place}: {problem}")
    return unicodedata.normalize("NFC", value.text.strip())


def _name(node: LexiconNode) -> str:
    return shown(node.text or "") or "(empty)"
