"""Which rules read a sentence: by its script, then by the language of the request."""

from __future__ import annotations

import re
import unicodedata

from services.synth.reading import english, korean, markdown, spelling

_HANGUL = re.compile(r"[가-힣ㄱ-ㅣ]")
# Cyrillic to Thai, kana, ideographs: a text in them is neither Korean nor English, whatever its tag says.
_FOREIGN = re.compile("[\u0400-\u052f\u0590-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_MARKS = "\"'’“”(),.!?:;"


def read_out(sentence: str, language: str, *, tags: bool = True) -> str:
    """The sentence in the words that a speaker says; one with a letter or digit never becomes empty.

    A sentence with Hangul is read as Korean, whatever `language` (a BCP 47 tag) says. In a Korean text a sentence of
    Latin words alone is English. `tags`: those of HTML are silent (`markdown`). Other
    languages, and texts in other scripts, are only composed (NFC). Always the same for the same arguments; never
    raises.
    """
    plain = unicodedata.normalize("NFC", sentence).replace("\0", " ")
    reading = _language(plain, language)
    if reading == "ko":
        said = korean.read(markdown.unmarked(plain, tags=tags))
    elif reading == "en":
        said = english.read(markdown.unmarked(plain, tags=tags))
    else:
        return plain
    return said if any(char.isalnum() for char in said) else plain


def say_as(text: str, kind: str, language: str, form: str = "") -> str:
    """The reading of `text` as what SSML's `interpret-as` says it is (`form`: its `format`), else an ordinary one."""
    plain = unicodedata.normalize("NFC", text).replace("\0", " ").strip()
    reading = _language(plain, language)
    said = spelling.say_as(plain, kind.lower(), reading, form.lower()) if reading in ("ko", "en") else None
    return said if said and any(char.isalnum() for char in said) else read_out(text, language, tags=False)


def counts(following: str) -> bool:
    """Whether what follows a number right away is what it counts in Korean, so that a space parts them: 삼 명."""
    return korean.counter.begins(following)


def _language(text: str, language: str) -> str:
    """The ISO 639 code of what the text is to be read as; empty: it is left to the engine."""
    if _HANGUL.search(text):
        return "ko"
    if _FOREIGN.search(text):
        return ""
    code = language.replace("_", "-").partition("-")[0].lower()
    return "en" if code == "ko" and _is_prose(text) else code


def _is_prose(text: str) -> bool:
    """Whether two words or more of it are Latin and not in capitals."""
    words = (word.strip(_MARKS) for word in text.split())
    return sum(word.isascii() and word.isalpha() and not word.isupper() for word in words) > 1
