"""Codes in English, read character by character: a PIN, an account number, the last four digits of a card.

A number is a code because of the words before it (PIN is 0427, order #48213) or because of its form (123-45-6789).
"""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.common import NETWORK_CARD
from services.synth.reading.english.context import after, before
from services.synth.reading.english.numeral import cardinal, digits
from services.synth.reading.rule import Rule

# Nouns that often stand before a count, too (order 500 copies): they need more evidence.
_WEAK = (
    r"accounts?|acct\.?|orders?|cases?|claims?|policy|rooms?|flights?|tickets?|invoices?|reference|ref\.?|extensions?"
    r"|ext\.?|members?|items?|lots?|batch|checks?|cheque|cards?|box|booking|reservation|permit|badge|receipt|transaction"
    r"|confirmation|tracking|serial|routing|prescription|rx|loan|locker|docket|parcel|package|shipment|bill|visa|mastercard|amex"
)
_NUMBERED = (
    rf"{_WEAK}|passport|licen[cs]e|registration|part|model|employee|student|patient|customer|client|user|device|product"
    r"|purchase order|social security|ssn|bank|credit card|debit card|access|record|medical record|group|subscriber|id"
    r"|tail|approval|authori[sz]ation|lottery|swift|engine|work order|job|vin"
)
_STRONG = (
    r"(?:codes?|pin|passwords?|passcode|combination)\s(?:to|for|of|on)\s[a-z ']{1,24}?(?=\s(?:is|was)\b|:)"
    r"|flights?,?\s[A-Z][A-Z0-9]|(?:pass|zip|area|bar|qr)?codes?|passwords?|pins?|pin numbers?|otp|zip|ssn"
    r"|social security(?: number)?|vin|mrn|cvv2?|cvc2?|ports?(?: numbers?)?"
    r"|isbn|upc|sku|pnr|imei|npi|ein|license plate|plate|record locator|locator|p\.?\s?o\.? box|ids?"
    rf"|(?:{_NUMBERED})\s(?:numbers?|no\.?|nos\.?|num\.?|ids?|code|#(?=:))"
)
_ENDS = (
    r"end(?:ing|s|ed)?\s(?:in|with)|last\s(?:four|4|five|5|three|3|six|6)(?:\sdigits)?(?:\sof\s[a-z ]{1,24})?"
    r"|final\sfour\sdigits|(?:account|card|visa|mastercard|amex|number)\sending"
)
_IS = r"(?:\s(?:is|was|are|were|reads|says|to be|number|here is)(?::|\snow|\sjust)?|\s?[:=#]|,|\s[-–—]){0,2}"
_OPEN = r"\s{0,2}(?:(?:\.{2,3}|…)\s?)?(?:\((?:\w{2,12}:?\s)?)?[\"'“‘#*]{0,3}"
_ONE_MORE = r"(?:\s?[A-Za-z]{0,3}[0-9][0-9A-Za-z\-]{1,15},?(?:\s(?:and|or))?\s){0,2}"
_AFTER_STRONG = re.compile(
    rf"(?<![A-Za-z])(?:(?:{_STRONG}){_IS}"
    rf"|(?:pin|passcode|zip code|area code)\sof|enter(?:ing)?\scode){_ONE_MORE}{_OPEN}$",
    re.IGNORECASE,
)
_AFTER_END = re.compile(rf"(?<![A-Za-z])(?:{_ENDS}){_IS}{_OPEN}$", re.IGNORECASE)
_AFTER_WEAK = re.compile(rf"(?<![A-Za-z])(?:{_WEAK})(?P<mark>\s?[:#]|\s\(?#)?{_ONE_MORE}{_OPEN}$", re.IGNORECASE)
_TEXT_TO = re.compile(r"\b[Tt]ext(?:ing)?\s[\"“']?[A-Za-z]{2,12}[\"”']?\sto\s$")
_TEXT = re.compile(r"\b[Tt]ext\s$")
_DRESS = re.compile(r"\b(?:dress|tax|building|penal|civil|criminal|source|legal)\scode\s$", re.IGNORECASE)
_TIME_SPAN = re.compile(r"\b(?:year|season|quarter|decade|century|period|era|war|study|term)\b", re.IGNORECASE)
_COUNTED = re.compile(
    r"\s(?:(?!(?:is|was|has|as|his|its|this|us|expires|departs|arrives|lands|leaves|boards|ships|needs|requires|works"
    r"|does|gets|starts|opens|closes|always|plus|minus|shows|matches|belongs)\b)[a-z]{2,16}s\b"
    r"|(?:more|of|people|children|men|women|square|percent|feet|other|additional|new|extra|pieces|copies|different)\b)"
)

_CODE = re.compile(
    r"(?<![A-Za-z0-9$€£])(?<![A-Za-z0-9]\.)(?=[A-Za-z\-]{0,12}[0-9])"
    r"(?P<code>[0-9]{3,6}(?:\s[0-9]{3,6}(?![0-9A-Za-z])){1,8}+(?:\s[0-9]{2}(?![0-9A-Za-z]))?|[0-9]{2}(?:\s[0-9]{2}(?![0-9A-Za-z])){1,3}"
    r"|[A-Za-z0-9]{1,32}(?:[\-–][A-Za-z0-9]{1,24}){0,6})(?![A-Za-z0-9]|[.,:/][0-9]|[\-–][0-9]|['’]s(?![A-Za-z]))"
)
_MASKED = re.compile(
    r"(?<![A-Za-z0-9])(?P<mask>[*•]{2,32}(?:[\s\-][*•]{2,16}){0,4}|[Xx]{2,16}(?:[\s\-][Xx]{2,16}){0,4}|[Xx]{1,16}(?=[0-9]{4}))"
    r"[\s\-]{0,2}(?P<code>[0-9]{2,6}(?![0-9A-Za-z]))"
)
_FORMED = re.compile(
    r"(?<![0-9A-Za-z.\-])(?:[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3}[ \-]0[0-9]{2}"
    r"|[0-9]{5}-[0-9]{4}|(?:[0-9]{4}[ \-]){3}[0-9]{4}"
    r"|3[0-9]{3}[ \-][0-9]{6}[ \-][0-9]{5}|1Z[0-9A-Z]{16}"
    r"|1Z(?:\s[0-9A-Z]{3}){2}\s[0-9]{2}(?:\s[0-9]{4}){2})(?![0-9A-Za-z]|[.\-][0-9]|\s[0-9]{2,4}(?![0-9A-Za-z]))"
)
_BANK = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?:\s[A-Z0-9]{4}){3,7}+(?:\s[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
)  # an IBAN
_HEXADECIMAL = re.compile(
    r"(?<![A-Za-z0-9.])0x(?P<n>(?=[0-9]{0,15}[A-Fa-f])[0-9A-Fa-f]{1,16}|[0-9]{4,16})(?![0-9A-Za-z])"
)
_LONG = re.compile(r"(?<![0-9A-Za-z.,$€£¥₩\-])(?P<code>[0-9]{10,15})(?![0-9A-Za-z]|[.,][0-9])")
_RUN = re.compile(r"[A-Za-z]+|[0-9]+")
_ROW_OF_KEYS = re.compile(r"qwert?y?|asdfg?h?|zxcvb?n?", re.IGNORECASE)
_WORD_PART = re.compile(r"[a-z]{3,}")
_MEASURE = re.compile(rf"[0-9]{{1,6}}(?:{unit.pattern(unit.ENGLISH, unit.ENGLISH_SAME)}|st|nd|rd|th|am|pm|[xX])")


def characters(code: str) -> str:
    """Returns the letters, in capitals, and the digits of a code, with a comma for each separator.

    A part of four letters and more is a word: SAVE20 is SAVE twenty.
    """
    return ", ".join(" ".join(map(_run, _RUN.findall(group))) for group in re.split(r"[\s\-–]+", code) if group)


def _run(run: str) -> str:
    if run.isdecimal():
        return digits(run)
    word = len(run) > 3 and not run.isupper() and not _ROW_OF_KEYS.fullmatch(run)
    return run if word else " ".join(run.upper())


def _word_and_number(code: str) -> str | None:
    """Read SAVE20 and hunter2 as a word and a number."""
    match = re.fullmatch(r"(?P<word>[A-Za-z]{4,20})(?P<n>[1-9][0-9]?)", code)
    return f"{match['word']} {cardinal(int(match['n']))}" if match else None


def _code(match: re.Match[str]) -> str | None:
    code = match["code"]
    count = sum(char.isdecimal() for char in code)
    if any(map(_is_word, re.split(r"[\-–]", code))) or _MEASURE.fullmatch(code):
        return None
    text = before(match, 72)
    mixed = not code.replace(" ", "").replace("-", "").replace("–", "").isdecimal()
    if _AFTER_END.search(text):
        fits = count > 1 and not _is_year(code, text)
    elif _DRESS.search(text):
        fits = False
    elif _AFTER_STRONG.search(text):
        fits = (count > 2 or (mixed and len(code) > 3)) and not _is_count(code, match)
    elif (weak := _AFTER_WEAK.search(text)) is not None:
        enough = code.upper() == code and count > 1 and len(code) > 3 if mixed else count > 2
        fits = enough and (weak["mark"] is not None or not _is_count(code, match))
    else:
        fits = code.isdecimal() and _texted(code, text)
    return (_word_and_number(code) or characters(code)) if fits else None


def _texted(code: str, text: str) -> bool:
    """Whether one sends a text message to the number: text STOP to 72572, text 741741."""
    return (len(code) > 3 and _TEXT_TO.search(text) is not None) or (
        len(code) in (5, 6) and _TEXT.search(text) is not None
    )


def _is_word(part: str) -> bool:
    """Whether a part between dashes is a word, so that 6-digit after "code" is no code."""
    return _WORD_PART.fullmatch(part) is not None


def _is_count(code: str, match: re.Match[str]) -> bool:
    return code.isdecimal() and len(code) < 5 and _COUNTED.match(after(match)) is not None


def _is_year(code: str, text: str) -> bool:
    return re.fullmatch(r"(?:1[89]|20)[0-9]{2}", code) is not None and _TIME_SPAN.search(text) is not None


def _masked(match: re.Match[str]) -> str:
    mask = match["mask"]
    letters = "" if mask[0] in "*•" else ", ".join(" ".join(part.upper()) for part in re.split(r"[\s\-]", mask)) + ", "
    return letters + digits(match["code"])


def _long(match: re.Match[str]) -> str | None:
    """Read a long number without commas digit by digit, unless it is round: 1000000000 is one billion."""
    return None if match["code"].endswith("000") else digits(match["code"])


RULES = (
    Rule(_MASKED, _masked, first="a."),
    Rule(NETWORK_CARD, lambda match: characters(match[0].upper().replace(":", "-")), first="a0"),
    Rule(_HEXADECIMAL, lambda match: f"zero x {characters(match['n'].upper())}", first="0"),
    Rule(_FORMED, lambda match: characters(match[0]), first="0"),
    Rule(_BANK, lambda match: characters(match[0]), first="a"),
    Rule(_CODE, _code, first="a0"),
)
LONG_RULES = (Rule(_LONG, _long, first="0"),)
"""Must come after the rules for telephones."""
