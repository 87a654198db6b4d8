"""A text of any shape becomes lines in linear time, in steps that leave the event loop alone.

Work is counted where that is possible: the characters that are examined for each one that comes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.synth.text import script, sentence_splitter
from services.synth.text.script import ScriptLine, lines_of, script_of
from services.synth.text.sentence_boundaries import pieces
from services.synth.text.sentence_splitter import MAX_CHARS, Sentences, sentences

pytestmark = pytest.mark.unit

EXAMINED, EXAMINED_PER_CHAR = 40_000, 16
STEP_S = 0.05
TOKENS = ["(1)", "A.", "www.", '"', "가", "1.", "1. ", "\n1.", "가.", "(", "-", "~", " ", "a", "!", "…", ".", "\n"]
TOKENS += [
    "가. “",
    "(a. ",
    "'가",
    "“a” ",
    "a\n",
    "Ep. 3 ",
    "2024. 5. 3. ",
    "a!!",
    "p.m. ",
    "👍",
    "1,",
    "a.b",
    "«a",
    "_",
]
TOKENS += ["http://a.b/", "a@", "1~", "1kg ", "ㅠㅠ", "[a](", "<b ", "$1", "\\(", "2^", "가1", "\u00a0", "。", "?"]
TOKENS += ["<|a|> ", "</a>", ". </", " .A", ". ./", "approx. 5", "Mon. "]
NAMED = ["(1)", "A.", "www.", '"']
SHAPES = [
    *NAMED,
    "1. ",
    "\n1.",
    "Ep. 3 ",
    "a\n",
    "가. “",
    "“a” ",
    "'가",
    "(a. ",
    "«a",
    "가",
    " ",
    "가1",
    "a" + "." * 299,
]
SHAPES += ["!" * 299 + "가" * 900, "가" + "!" * 299]

units = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=4).map("".join)
texts = st.lists(st.tuples(units, st.sampled_from([1, 30, 310, 1_000])), min_size=1, max_size=4).map(
    lambda parts: "".join((unit * length)[:length] for unit, length in parts)
)


def of_length(unit: str, length: int) -> str:
    return (unit * length)[:length]


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Records the lengths of the texts that were examined as a whole for ends of sentences."""
    lengths: list[int] = []

    def counted(text: str, code: str) -> list[str]:
        lengths.append(len(text))
        return pieces(text, code)

    monkeypatch.setattr(sentence_splitter, "pieces", counted)
    return lengths


@pytest.mark.parametrize("size", [1, 7, 3_000])
@pytest.mark.parametrize("unit", SHAPES, ids=lambda unit: unit[:12])
def test_number_of_examined_characters_is_proportional_to_the_text(unit: str, size: int, examined: list[int]) -> None:
    text, stream = of_length(unit, 3_000), Sentences("ko-KR")
    for begin in range(0, len(text), size):
        stream.push(text[begin : begin + size])
    stream.finish()
    assert sum(examined) <= EXAMINED + EXAMINED_PER_CHAR * len(text)
    assert max(examined) < 4 * MAX_CHARS


@settings(max_examples=60)
@given(texts, st.sampled_from(["ko-KR", "en-US"]))
@example("!" * 300 + "가" * 2_000, "ko-KR")
@example("(1)" * 700, "en-US")
def test_splitter_holds_less_than_its_limit(text: str, language: str) -> None:
    """For any text; and the sentences are the whole text."""
    stream = Sentences(language)
    found: list[str] = []
    for char in text:
        found += stream.push(char)
        assert len(stream._held) < 4 * MAX_CHARS
    found += stream.finish()
    assert found == sentences(text, language)
    assert "".join(filter(str.isalnum, "".join(found))) == "".join(filter(str.isalnum, text))
    assert all(any(char.isalnum() for char in sentence) for sentence in found)


def cpu_s(call: Callable[[], object]) -> float:
    begun = time.process_time()
    call()
    return time.process_time() - begun


@pytest.mark.parametrize(("unit", "ssml"), [*((unit, False) for unit in NAMED), ("A.", True)])
def test_time_is_proportional_to_the_length_of_the_text(unit: str, ssml: bool) -> None:
    """The best of several runs counts: noise only adds time."""
    short, long = (
        f"<speak>{of_length(unit, length)}</speak>" if ssml else of_length(unit, length) for length in (5_000, 20_000)
    )
    if unit == '"':
        short, long = (text.replace('"', '"a', 1) for text in (short, long))
    short_s = long_s = 1e9
    for _ in range(5):
        short_s = min(short_s, *(cpu_s(lambda: lines_of(short, "ko-KR", 1.0, ssml=ssml)) for _ in range(2)))
        long_s = min(long_s, cpu_s(lambda: lines_of(long, "ko-KR", 1.0, ssml=ssml)))
        if long_s <= 4.5 * short_s:
            break
    assert long_s <= 4.5 * short_s


def test_splitter_takes_linear_time_for_many_dots() -> None:
    """It once took cubic time: half a second for 600 of them."""
    text = "a " + "." * 20_000
    assert cpu_s(lambda: pieces(text, "en")) < 0.5


def test_first_line_is_returned_before_the_whole_text_is_examined(examined: list[int]) -> None:
    text = "안녕하세요. 오늘은 날씨가 아주 맑습니다. " * 800
    lines = script.line_steps(text, "ko-KR", 1.0)
    assert next(line for line in lines if line is not None).text == "안녕하세요."
    assert sum(examined) < 10 * MAX_CHARS


# ---- the event loop

MARKUP = [
    "<s>a</s>",
    "<a/>",
    "<sub alias='12345678901234567890'>x</sub>명",
    "<say-as interpret-as='cardinal'>1</say-as>명",
    "<prosody rate='slow'>가</prosody>",
    f"<sub alias='{'1 ' * 145}'>x</sub>",
]
WRAPPED = ["<sub alias='{}'>x</sub>", "<say-as interpret-as='digits'>{}</say-as>", "<p>{}</p>"]
LONG_TEXTS = [(of_length(unit, 20_000), False) for unit in ["(1)", "1. ", "가1", "1~", "\\(", "a" + "." * 299]]
LONG_TEXTS += [(f"<speak>a{unit * (20_000 // len(unit))}</speak>", True) for unit in MARKUP]
LONG_TEXTS += [(f"<speak>{around.format('1가 ' * 6_600)}</speak>", True) for around in WRAPPED]


async def longest_hold_s(lines: AsyncGenerator[ScriptLine, None]) -> float:
    """Measures the maximum CPU time of the event loop's thread between two steps of a task that is always ready."""
    longest_s = 0.0

    async def consume() -> None:
        async for _ in lines:
            pass

    consumer = asyncio.create_task(consume())
    while not consumer.done():
        begun = time.thread_time()
        await asyncio.sleep(0)
        longest_s = max(longest_s, time.thread_time() - begun)
    await consumer
    return longest_s


@pytest.mark.parametrize(("text", "ssml"), LONG_TEXTS, ids=lambda value: value[:24] if isinstance(value, str) else "")
async def test_no_step_blocks_the_event_loop_for_long(text: str, ssml: bool) -> None:
    """The best of several runs counts: garbage collection may happen in one of them."""
    held_s = 1e9
    for _ in range(5):
        held_s = min(held_s, await longest_hold_s(script_of(text, "ko-KR", 1.0, ssml=ssml)))
        if held_s < STEP_S:
            break
    assert held_s < STEP_S
