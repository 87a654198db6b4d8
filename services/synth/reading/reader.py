"""Selects the rules for a sentence: by its script, then by the language of the request."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from services.synth.reading import dashes, english, korean, markdown, plain_characters, spelling, word_characters
from services.synth.reading.edited_text import EditedText

_HANGUL = re.compile(r"[가-힣ㄱ-ㅣ]")
# Cyrillic to Thai, kana, ideographs: such a text is neither Korean nor English, for any language tag.
# A mark alone, such as the Hebrew ׳ that someone uses as an apostrophe, is no text of its script.
_FOREIGN = re.compile(r"(?=\w)" "[\u0400-\u052f\u0590-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_KOREAN_WORDS = re.compile(r"[가-힣][가-힣 .,!?…\n]*")
"""Most sentences of a conversation: in NFC, and without anything that the passes before the rules change."""
_MARKS = "\"'’“”(),.!?:;"


def read_out(sentence: str, language: str, *, tags: bool = True) -> str:
    """Returns the sentence in the words that a speaker says; never empty if the sentence has a letter or digit.

    A sentence with Hangul is read as Korean for any `language` (a BCP 47 tag). In a Korean text, a sentence of Latin
    words only is read as English. With `tags`, HTML tags are not spoken (`markdown`). Other languages and scripts are
    only normalized to NFC. The same arguments give the same result. Never raises. Thread-safe.
    """
    return read_with_places(EditedText(sentence), language, tags=tags).text


def read_with_places(
    sentence: EditedText, language: str, *, tags: bool = True, hold: Callable[[EditedText], EditedText] | None = None
) -> EditedText:
    """As `read_out`; `back` of the result returns from which part of the original text a part of the words comes.

    What a rule says comes from all characters that the rule has matched. All others come from themselves. `hold` may
    change the text that the rules read, in which Markdown has left no marks (`lexicon`).
    """
    if hold is None and _KOREAN_WORDS.fullmatch(sentence.text):
        return korean.edited(sentence)
    held = hold or (lambda text: text)
    plain = sentence
    if not unicodedata.is_normalized("NFC", plain.text):
        plain = plain.composed()
    if "\0" in plain.text:
        plain = plain.respelled(plain.text.replace("\0", " "))
    usual = plain_characters.plain(plain)
    reading = language_of_rules(usual.text, language)
    if reading not in ("ko", "en"):
        return held(plain)
    words = word_characters.in_words(held(markdown.unmarked(usual, tags=tags)), reading)
    words = dashes.plain(words, reading)
    said = korean.edited(words) if reading == "ko" else english.edited(words)
    return said if any(char.isalnum() for char in said.text) else plain


def say_as(text: str, kind: str, language: str, form: str = "") -> str:
    """Returns the reading of `text` for SSML's `interpret-as` (`kind`) and `format` (`form`), else the usual one."""
    plain = plain_characters.plain(EditedText(unicodedata.normalize("NFC", text).replace("\0", " "))).text.strip()
    reading = language_of_rules(plain, language)
    said = spelling.say_as(plain, kind.lower(), reading, form.lower()) if reading in ("ko", "en") else None
    return said if said and any(char.isalnum() for char in said) else read_out(text, language, tags=False)


def counts(following: str) -> bool:
    """Whether the text right after a number begins with a Korean counter, so that a space belongs between: 삼 명."""
    return korean.counter.begins(following)


def language_of_rules(text: str, language: str) -> str:
    """Returns the ISO 639 code of the language in which `text` is read, in a request of the BCP 47 tag `language`.

    Only ko and en have rules. Empty: the text is of another script, and stays as it is for the engine.
    """
    if _HANGUL.search(text):
        return "ko"
    if _FOREIGN.search(text):
        return ""
    code = language.replace("_", "-").partition("-")[0].lower()
    return "en" if code == "ko" and _is_prose(text) else code


def _is_prose(text: str) -> bool:
    """Whether at least two words are Latin and not all in capitals."""
    words = (word.strip(_MARKS) for word in text.split())
    return sum(word.isascii() and word.isalpha() and not word.isupper() for word in words) > 1
