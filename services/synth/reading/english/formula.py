"""Signs of arithmetic in English, said between numbers and variables: 8 - 6 = 2, x^2, √16, 2**3, x > 5.

The same characters between words are pauses or nothing: well-known, A - B, ->, File > Save, <3.
"""

from __future__ import annotations

import re

from services.synth.reading.common import RAISED
from services.synth.reading.english.context import after, before, is_formula
from services.synth.reading.english.numeral import cardinal
from services.synth.reading.rule import Rule, always

_VALUE_BEFORE = re.compile(r"(?:[0-9]\s?%?|(?<![A-Za-z'’])[A-Za-z]|[)\]²³⁴πθ])\s?$")
_OPERAND_BEFORE = re.compile(r"(?:^|[\s(])(?:[A-Za-z]|[0-9]{1,12})\s?$")
_NUMBER_BEFORE = re.compile(r"[0-9)\]²³][%°]?\s?$")
_VALUE_AFTER = re.compile(r"\s?[-−+√(|]?\s?\$?(?:[0-9]|\.[0-9]|[A-Za-z](?![A-Za-z'’.])|[(πθ√|∞])")
_NUMBER_AFTER = re.compile(r"\s?[-−√(]?\s?\$?\.?[0-9(√]")
_VARIABLE_AFTER = re.compile(r"\s?[A-Za-z](?![A-Za-z'’])")
_END_OF_WORD = re.compile(r"[A-Za-z]{2}\s?$")
_WORD_BEFORE = re.compile(r"[A-Za-z]{2,20}\s$")
_SCORE = re.compile(
    r"\b(?:won|win|lost|lose|beat|lead|leads|led|score|scored|game|final|match|tied|victory|set|defeat|defeated|draw)\b",
    re.IGNORECASE,
)
_NOT_EQUAL = re.compile(r"!=|≠|=/=")
_EQUALS = re.compile(r"={1,3}(?!=|>)")
_LONG_LINE = re.compile(r"={3,}|=>|<=>|<-{1,2}(?![0-9])|<{2,}|>{2,}")
_COMPARISON = re.compile(r"(?P<sign><=|>=|≤|≥|⩽|⩾|<|>|≈|≪|≫)")
_COMPARED = {
    "<": "less than", ">": "greater than", "<=": "less than or equal to", ">=": "greater than or equal to",
    "≤": "less than or equal to", "≥": "greater than or equal to", "⩽": "less than or equal to",
    "⩾": "greater than or equal to", "≈": "approximately", "≪": "much less than", "≫": "much greater than",
}  # fmt: skip
_BOUNDS = {"<": "less than", ">": "more than", "<=": "at most", ">=": "at least", "≤": "at most", "≥": "at least",
           "⩽": "at most", "⩾": "at least", "≈": "approximately"}  # fmt: skip
_HEART = re.compile(r"<3+(?![0-9A-Za-z%.])")
_LOVING = re.compile(r"\b(?:I|we|We)\s$")
_AFTER_HEART = re.compile(
    r"\s(?:days?|hours?|minutes?|weeks?|months?|years?|seconds?|times|percent|visits?|items?|people|[a-z]{3,12}s)\b"
)
_MINUS = re.compile(r"[-−–](?![->])")
_FACTORIAL = re.compile(r"!(?=\s=)")
_A_TO_Z = re.compile(r"(?<=(?<![A-Za-z])A)-(?=Z(?![A-Za-z]))|(?<=(?<![A-Za-z])[A-H])–(?=[B-Z](?![A-Za-z]))")
_POWER = re.compile(
    r"(?<=[0-9A-Za-z)\]π])(?:\^|\s?\*\*\s?)(?:\{(?P<braced>[-−]?[0-9A-Za-z]{1,4})\}|\((?P<round>[-−]?[0-9A-Za-z]{1,4})\)|(?P<plain>[-−]?[0-9]{1,4}|[A-Za-z](?![A-Za-z])))"
)
_RAISED = re.compile(r"(?<=[0-9A-Za-z)\]π])(?P<n>[⁻⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ]{1,5})")
_LOWERED = re.compile(r"[₀-₉]{1,9}")
_ROOT = re.compile(r"(?P<root>[√∛])(?=\s?[0-9A-Za-z(π])")
_TIMES = re.compile(r"(?P<sign>[x×*X·⋅])(?=\s?[-−√(]?[$€£]?[0-9A-Za-z(π.])")
_MODEL = re.compile(r"(?<=[0-9])X(?=[0-9]{1,2}[A-Z](?![a-z]))")  # Ryzen 7800X3D
_BY = re.compile(r"(?:(?<=[0-9\"″”'′’])|(?<=[0-9\"″”'′’]\s))(?P<sign>[x×X])\s?(?=[0-9])")
_HEXADECIMAL = re.compile(r"(?<![0-9.,])0$")
_BY_AFTER_UNIT = re.compile(r"[xX×](?=\s?[0-9])")
_LENGTH = re.compile(r"[0-9]\s?(?:in\.?|ft\.?|cm|mm|m|inch(?:es)?|feet|foot)\s?$")
_FUNCTION = re.compile(r"(?<![A-Za-z0-9_.'’])(?P<f>[fghFG])\((?P<x>[a-z]|[0-9]{1,3})\)(?![A-Za-z0-9])")
_DIVIDED = re.compile(r"/(?=\s?[0-9A-Za-z(])")
_GREEK = {
    "π": "pi", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "Δ": "delta", "ε": "epsilon", "θ": "theta",
    "λ": "lambda", "μ": "mu", "σ": "sigma", "Σ": "sigma", "φ": "phi", "ω": "omega", "Ω": "omega",
    "ρ": "rho", "τ": "tau",
}  # fmt: skip
_GREEK_LETTER = re.compile(f"(?<![\u0370-\u03ff])[{''.join(_GREEK)}](?![\u0370-\u03ff])")


def _minus(match: re.Match[str]) -> str | None:
    """Say a minus between numbers, in a formula also between variables; a dash between words is a pause."""
    words, following = before(match), after(match)
    if not _VALUE_BEFORE.search(words) or not _VALUE_AFTER.match(following):
        return None
    apart = words[-1:] == " " and following[:1] == " "
    if match[0] == "−" or is_formula(match):
        joined = words[-1:] != " " and words[-1:].isalpha() and following[:1].isdigit() and match[0] != "−"
        return None if joined and "=" not in words + following else " minus "
    score = _SCORE.search(before(match, 80)) is not None
    numbers = _NUMBER_BEFORE.search(words) and _NUMBER_AFTER.match(following)
    return (" to " if score else " minus ") if numbers and apart and match[0] == "-" else None


def _not_equal(match: re.Match[str]) -> str | None:
    if match[0][0] == "!" and not (_VALUE_AFTER.match(after(match)) or re.match(r"\s?[A-Za-z]", after(match))):
        return None
    return " is not equal to "


def _comparison(match: re.Match[str]) -> str | None:
    """Say x > 5; without a left side a bound: <5 minutes. Between words > is a path, and a pause."""
    words, following, sign = before(match), after(match), match["sign"]
    mathematical = sign not in ("<", ">")
    single = _OPERAND_BEFORE.search(words) is not None and _VARIABLE_AFTER.match(following)
    if not (_NUMBER_AFTER.match(following) or (mathematical and _VALUE_AFTER.match(following)) or single):
        return None
    left = _VALUE_BEFORE.search(words) or (
        sign != ">" and _WORD_BEFORE.search(words) and words[-1:] == " " and following[:1] == " "
    )
    after_word = _END_OF_WORD.search(words) is not None
    path = sign == ">" and after_word
    if left or (path and following[:1] == " "):
        verb = "" if after_word else "is "
        return f" {verb}{_COMPARED[sign]} "
    if sign in ("≪", "≫") or (sign == ">" and not words.strip() and following[:1] == " "):
        return None  # a quotation in a mail
    return f" {_BOUNDS[sign]} "


def _heart(match: re.Match[str]) -> str | None:
    if _AFTER_HEART.match(after(match)) or before(match).endswith(("=", "= ")):
        return None
    if re.search(r"(?:^|[\s(])(?:[A-Za-z]|[0-9]+)\s?$", before(match)) and not _LOVING.search(before(match)):
        return None  # x <3
    alone = not any(char.isalnum() for char in re.sub("<?3+", "", before(match) + after(match)))
    return "heart" if alone or (_LOVING.search(before(match)) and after(match).strip(" .!?")) else " "


def _power_words(exponent: str) -> str:
    if exponent in ("2", "3"):
        return " squared" if exponent == "2" else " cubed"
    minus = "minus " if exponent[0] in "-−" else ""
    plain = exponent.lstrip("-−")
    return f" to the power of {minus}{cardinal(int(plain)) if plain.isdecimal() else plain}"


def _power(match: re.Match[str]) -> str | None:
    if "*" in match[0] and _END_OF_WORD.search(before(match)):
        return None  # **bold**
    return _power_words(match["braced"] or match["round"] or match["plain"])


def _raised(match: re.Match[str]) -> str:
    exponent = match["n"].translate(RAISED)
    if re.search(r"[A-Za-z]{3}$", before(match)) and exponent not in ("2", "3"):
        return " "  # a footnote
    plain = exponent.lstrip("-")
    fits = plain.isdecimal() or plain == "n"
    return _power_words(exponent) if fits and "-" not in exponent[1:] else " "


def _lowered(match: re.Match[str]) -> str:
    return cardinal(sum((ord(char) - ord("₀")) * 10**place for place, char in enumerate(reversed(match[0]))))


def _root(match: re.Match[str]) -> str:
    return "the square root of " if match["root"] == "√" else "the cube root of "


def _by(match: re.Match[str]) -> str | None:
    """Say by in 8x10 and 10' x 12', times in 3 x 4 = 12."""
    if _HEXADECIMAL.search(before(match, 4)):
        return None  # 0x393
    apart = before(match)[-1:] == " "
    if "=" in after(match, 12) or is_formula(match):
        return None
    return None if apart and match["sign"] == "×" and before(match)[-2:-1].isdigit() else " by "


def _times(match: re.Match[str]) -> str | None:
    words, following, sign = before(match), after(match), match["sign"]
    if sign in "xX":
        if _HEXADECIMAL.search(words):
            return None
        fits = _NUMBER_BEFORE.search(words) and re.match(r"\s?[-−√(]?[$€£]?[0-9(]", following)
        return " times " if fits and (words[-1:] != " " or following[:1] == " ") else None
    numbers = _NUMBER_BEFORE.search(words) and (
        _NUMBER_AFTER.match(following) or re.match(r"\s?[A-Za-zπ](?![A-Za-z])", following)
    )
    values = _VALUE_BEFORE.search(words) and _VALUE_AFTER.match(following) and is_formula(match)
    return " times " if numbers or values else None


def _divided(match: re.Match[str]) -> str | None:
    words, following = before(match), after(match)
    if not _VALUE_BEFORE.search(words) or not _VALUE_AFTER.match(following):
        return None
    apart = words[-1:] == " " and following[:1] == " "
    numbers = _NUMBER_BEFORE.search(words) and _NUMBER_AFTER.match(following)
    return " divided by " if (numbers and apart) or is_formula(match) else None


def _function(match: re.Match[str]) -> str:
    """Read f(x) as f of x."""
    argument = match["x"]
    return f"{match['f']} of {cardinal(int(argument)) if argument.isdecimal() else argument}"


def _factorial(match: re.Match[str]) -> str | None:
    return " factorial" if _OPERAND_BEFORE.search(before(match)) else None


FIRST_RULES = (
    Rule(_FACTORIAL, _factorial, first="."),
    Rule(_FUNCTION, _function, first="a"),
    Rule(_A_TO_Z, always(" to "), first="."),
    Rule(_LONG_LINE, always(" "), first="."),
    Rule(_HEART, _heart, first="."),
    Rule(_POWER, _power, first="."),
    Rule(_RAISED, _raised, first="."),
    Rule(_LOWERED, _lowered, first="."),
    Rule(_ROOT, _root, first="."),
)
RULES = (
    Rule(_NOT_EQUAL, _not_equal, first="."),
    Rule(_COMPARISON, _comparison, first="."),
    Rule(_EQUALS, always(" equals "), first="."),
    Rule(_MINUS, _minus, first="."),
    Rule(_MODEL, lambda match: match[0], first="a"),
    Rule(_BY_AFTER_UNIT, lambda match: " by " if _LENGTH.search(before(match)) else None, first="a."),
    Rule(_BY, _by, first="a."),
    Rule(_TIMES, _times, first="a."),
    Rule(_DIVIDED, _divided, first="."),
    Rule(_GREEK_LETTER, lambda match: f" {_GREEK[match[0]]} ", first="."),
)
