"""Particles that follow a word without a space: which ones there are, and which form follows a reading. Pure.

Source: 한글 맞춤법 제41항 (a particle is written with the word before it), and the forms of particles after a consonant
and after a vowel (은/는, 이/가, 을/를, 과/와, 으로/로). After ㄹ it is 로.
"""

from __future__ import annotations

import re

from services.synth.reading.korean.numeral import final_consonant

MAX_CHARS = 12
"""Syllables after a word that are looked at: the longest sequence of particles is shorter."""

_PARTICLES = """
    은 는 이 가 을 를 의 에 에서 에게 에게서 께 께서 한테 한테서 으로 로 으로서 로서 으로써 로써 와 과 이랑 랑
    하고 도 만 까지 부터 마저 조차 마다 밖에 뿐 처럼 같이 보다 대로 만큼 이나 나 이라도 라도 이든 든 이든지 든지
    이라는 라는 이란 란 이라고 라고 이라면 라면 이라서 라서 이라 라 이며 며 이고 고 인 인데 이면 면 이지만 지만
    이니 니 이니까 니까 이다 다 이야 야 아 이여 여 이에요 예요 이어요 여요 입니다 입니까 이었다 였다 이었던 였던
    이었습니다 였습니다 이었어요 였어요 이죠 죠 이지 지 이네 네 이네요 네요 인가 인가요 인지 일 일까 일까요 들
    님 씨 요
""".split()
_SEQUENCE = re.compile("(?:" + "|".join(sorted(_PARTICLES, key=lambda word: (-len(word), word))) + "){1,3}")

# After a consonant, after a vowel. A form counts only as the whole rest of the word: 이 and 로 begin other words, too.
_PAIRS = [
    ("은", "는"), ("이", "가"), ("을", "를"), ("과", "와"), ("과는", "와는"), ("과의", "와의"), ("과도", "와도"),
    ("이에요", "예요"), ("이라는", "라는"), ("이란", "란"), ("이라고", "라고"), ("이랑", "랑"),
]  # fmt: skip
_FORMS = {form: pair for pair in _PAIRS for form in pair}
_TOWARDS = re.compile(r"(?:으)?로(?:서|써)?(?:는|도|만|의|부터)?")
EITHER = {
    "은(는)": "은", "는(은)": "은", "을(를)": "을", "를(을)": "을", "이(가)": "이", "가(이)": "이", "과(와)": "과",
    "와(과)": "과", "(으)로": "으로",
}  # fmt: skip
"""A particle as templates write it, with both forms → one of its forms."""
_RIEUL = 8


def is_particle(syllables: str) -> bool:
    """Whether these Hangul syllables, right after a word, are one to three particles or endings of 이다."""
    return len(syllables) <= MAX_CHARS and _SEQUENCE.fullmatch(syllables) is not None


def form_after(reading: str, particle: str) -> str:
    """Returns the form of the particle that follows the reading: 는 for 은 after 라이트.

    Returns it as it is if the reading does not end in Hangul, or if it has only one form.
    """
    if not "가" <= reading[-1:] <= "힣":
        return particle
    final = final_consonant(reading[-1])
    if particle in _FORMS:
        return _FORMS[particle][0 if final else 1]
    if _TOWARDS.fullmatch(particle):
        return ("" if final in (0, _RIEUL) else "으") + particle.removeprefix("으")
    return particle


def either_form(text: str, place: int) -> str:
    """Returns the template at that place of the text that names both forms, such as 을(를); empty: there is none."""
    return next((both for both in EITHER if text.startswith(both, place)), "")


def form_of_either(reading: str, both: str) -> str:
    """Returns the form of a template such as 을(를) that follows the reading; the template if that is not Hangul."""
    return form_after(reading, EITHER[both]) if "가" <= reading[-1:] <= "힣" else both
