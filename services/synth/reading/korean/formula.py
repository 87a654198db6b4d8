r"""Rewrites formulas as Korean that the rules can read: 10^3 is 10의 세제곱, 3 > 2 is 3은 2보다 크다.

It runs before the rules, because it changes the order: the words of a comparison come after its second side, and a
particle depends on the sound before it.
"""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.common import RAISED
from services.synth.reading.edited_text import EditedText
from services.synth.reading.korean.attached import form_after
from services.synth.reading.korean.latin import letter, spelled
from services.synth.reading.korean.numeral import final_consonant, sino

# ---- TeX

_TEX = re.compile(
    r"\$\$(?P<display>[^$]{1,400})\$\$|\\\((?P<round>[^$\n]{1,400}?)\\\)|\\\[(?P<square>[^$]{1,400}?)\\\]"
    r"|(?<![A-Za-z$\\])\$(?P<inline>[^\s$](?:[^$\n]{0,398}[^\s$])?)\$(?![0-9])"
)
_LOOKS_LIKE_TEX = re.compile(r"[\\^_={}]|^[A-Za-z]{1,2}$|^[A-Za-z][0-9]?\s?[+\-<>/*]\s?[A-Za-z0-9]")
_FRACTION = re.compile(r"\\[dt]?frac\s?\{([^{}]{1,80})\}\s?\{([^{}]{1,80})\}")
_COMMAND = re.compile(r"\\(?P<name>[A-Za-z]{1,16}|[,;:! ])")
_COMMANDS = {
    "times": "×", "cdot": "×", "div": "÷", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠",
    "neq": "≠", "infty": "∞", "sqrt": "√", "pi": "π", "alpha": "α", "beta": "β", "gamma": "γ", "delta": "델타",
    "Delta": "델타", "theta": "세타", "lambda": "람다", "mu": "뮤", "sigma": "시그마", "omega": "오메가",
    "phi": "파이", "sum": "시그마", "int": "인테그랄", "sin": "사인", "cos": "코사인", "tan": "탄젠트", "log": "로그",
    "ln": "엘엔", "lim": "리미트", "to": "→",
}  # fmt: skip
_LETTERS = re.compile(r"(?<![A-Za-z])[A-Za-z]{1,3}(?![A-Za-z])")


def _tex(match: re.Match[str]) -> str:
    tex = match["display"] or match["round"] or match["square"] or match["inline"]
    if match["inline"] and not _LOOKS_LIKE_TEX.search(tex):
        return match[0]
    tex = _FRACTION.sub(lambda part: _over(part[1], part[2]), tex)
    tex = _COMMAND.sub(lambda command: f" {_COMMANDS.get(command['name'], '')} ", tex)
    tex = _powers(EditedText(tex)).text
    tex = _LETTERS.sub(lambda letters: spelled(letters[0]), re.sub(r"[{}_$]", " ", tex))
    return " ".join(tex.split())


def _over(above: str, below: str) -> str:
    """Read a fraction, also one of letters: 이 분의 일."""
    return f" {below} 분의 {above} "


# ---- powers

_POWER = re.compile(
    r"(?P<base>(?<![A-Za-z/])[A-Za-z]{1,2}|[0-9)])"  # not the square of a unit: m/s²
    r"(?:\^(?:\{(?P<braced>[-−]?[0-9]{1,4}|[a-z])\}|(?P<plain>[-−]?[0-9]{1,4}|[a-z](?![A-Za-z0-9])))"
    r"|(?P<raised>[⁻⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ]{1,4}))(?:(?P<particle>[은는이가을를와과로])(?![가-힣]))?"
)
_STARS = re.compile(r"(?:(?<=[0-9)])|(?<=(?<![A-Za-z0-9*])[A-Za-z]))\*\*(?=[0-9]{1,4}(?![0-9*]))")  # 2**3
_EXPONENT = re.compile(
    r"(?<![A-Za-z0-9.,\-])(?P<number>[0-9](?:\.[0-9]{1,12})?)[eE](?P<sign>[+\-]?)0?(?P<power>[0-9]{1,3})(?![A-Za-z0-9]|[.,][0-9])"
)
_NAMED_POWERS = {"2": "제곱", "3": "세제곱"}
_ADDED = re.compile(r"(?<=[\w)])\s\+\s(?=[\w(])|(?<=제곱)\+(?=[\w(])")
_TAKEN = re.compile(r"(?<=제곱)\s?[-−]\s?(?=[\w(])")


def _exponent(match: re.Match[str]) -> str:
    """Write 1e-5 as 1×10^-5."""
    return f"{match['number']}×10^{match['sign'].strip('+')}{match['power']}"


def _power(match: re.Match[str]) -> str:
    base = match["base"]
    exponent = (match["braced"] or match["plain"] or match["raised"].translate(RAISED)).replace("−", "-")
    words = spelled(base) if base.isalpha() else base
    named = _NAMED_POWERS.get(exponent)
    particle = form_after("제곱", match["particle"] or "")
    if named:
        return f"{words}{' ' if base.isalpha() else '의 '}{named}{particle}"
    minus = "마이너스 " if exponent[0] == "-" else ""
    return f"{words}의 {minus}{spelled(exponent) if exponent.isalpha() else exponent.lstrip('-')} 제곱{particle}"


def _powers(text: EditedText) -> EditedText:
    written = text.sub(_POWER, _power)
    return text if written is text else written.sub(_ADDED, " 더하기 ").sub(_TAKEN, " 빼기 ")


# ---- comparisons

_COUNTED = "%|\\s?[A-Za-z]{1,3}(?![A-Za-z])|개|명|세|살|점|원|도|년|배"
_NUMBER = rf"[-−]?[0-9]{{1,12}}(?:,[0-9]{{3}}){{0,4}}(?:\.[0-9]{{1,12}})?(?:{_COUNTED})?"
_SIDE = rf"(?:{_NUMBER}|[A-Za-zπθαβγ](?![A-Za-z0-9]))"
_SIGN = r"(?:[<>]=|!=|[<>≥≤≠≈≒])"
_COMPARISON = re.compile(
    rf"(?<![A-Za-z0-9가-힣.,<>=\-])(?<![<>]\s)(?P<a>{_SIDE}|[가-힣]{{1,12}})\s?(?P<sign>{_SIGN})\s?(?P<b>{_SIDE})"
    rf"(?:\s?(?P<sign2>{_SIGN})\s?(?P<c>{_SIDE}))?"
    r"(?P<tail>이?면(?![가-힣])|이?고(?![가-힣])|일\s?때|인(?=\s)|입니다|이?므로|이?다(?![가-힣]))?(?!\s?[<>=]|[가-힣](?<![은는이가을를의]))"
)
_TAILS = {
    "": ("크다", "작다", "같다"), "면": ("크면", "작으면", "같으면"), "고": ("크고", "작고", "같고"),
    "때": ("클 때", "작을 때", "같을 때"), "인": ("큰", "작은", "같은"), "입니다": ("큽니다", "작습니다", "같습니다"),
    "므로": ("크므로", "작으므로", "같으므로"), "다": ("크다", "작다", "같다"),
}  # fmt: skip
_UNEQUAL = {
    "": "같지 않다", "면": "같지 않으면", "고": "같지 않고", "때": "같지 않을 때", "인": "같지 않은",
    "입니다": "같지 않습니다", "므로": "같지 않으므로", "다": "같지 않다",
}  # fmt: skip
_SUBJECT_ENDS = frozenset({"면", "때", "인"})  # a subordinate clause has 이/가, a sentence 은/는


def _comparison(match: re.Match[str]) -> str:
    first, second, third = match["a"], match["b"], match["c"]
    if "가" <= first[0] <= "힣" and (second[0].isalpha() or match.string[match.end("sign")] != " "):
        return match[0]  # 설정 > A is a path, <3 a heart
    tail = (match["tail"] or "").removeprefix("이").replace(" ", "").replace("일때", "때")
    if third is None:
        return _sentence(first, match["sign"], second, tail)
    if all(side.isdecimal() for side in (first, second, third)):
        sides = [int(side) for side in (first, second, third)]
        if sides != sorted(sides, reverse=match["sign"][0] in ">≥"):
            return match[0]  # 1 > 2 > 3: a path
    return f"{_sentence(first, match['sign'], second, '고')} {_sentence(second, match['sign2'], third, tail)}"


def _unequal(first: str, sign: str, second: str, tail: str) -> str:
    """Read ≠ and ≈: 삼은 사와 같지 않다."""
    words = _TAILS[tail][2] if sign in "≈≒" else _UNEQUAL[tail]
    particles = "이가" if tail in _SUBJECT_ENDS else "은는"
    ahead = "거의 " if sign in "≈≒" else ""
    object_particle = "과" if _ends_in_consonant(second) else "와"
    return f"{first}{particles[0 if _ends_in_consonant(first) else 1]} {second}{object_particle} {ahead}{words}"


def _sentence(first: str, sign: str, second: str, tail: str) -> str:
    if sign in ("≠", "!=", "≈", "≒"):
        return _unequal(first, sign, second, tail)
    larger, smaller, same = _TAILS[tail]
    greater = sign[0] in ">≥"
    words = larger if greater else smaller
    if sign in (">=", "<=", "≥", "≤"):
        words = f"{'크거나' if greater else '작거나'} {same}"
    particles = "이가" if tail in _SUBJECT_ENDS else "은는"
    return f"{first}{particles[0 if _ends_in_consonant(first) else 1]} {second}보다 {words}"


def _ends_in_consonant(side: str) -> bool:
    """Whether the last word ends in a consonant when spoken: 3은, 2는, 5kg은, x는, 50%는."""
    name = re.search(r"[A-Za-z%]+$", side)
    if name is None:
        said = sino(int(side[-1])) if side[-1].isdigit() else side
    else:
        said = unit.KOREAN.get(name[0], "") if side[0] not in name[0] else ""
        said = said or letter(name[0][-1]) or "퍼센트"
    return bool(final_consonant(said[-1]))


def in_words(text: EditedText) -> EditedText:
    """Returns the text with its formulas in words, or in signs that the rules know."""
    if "$" in text.text or "\\" in text.text:
        text = text.sub(_TEX, _tex)
    text = _powers(text.sub(_STARS, "^").sub(_EXPONENT, _exponent))
    return text.sub(_COMPARISON, _comparison) if any(sign in text.text for sign in "<>≤≥≠≈≒!") else text
