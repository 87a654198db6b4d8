"""What is left out of a text between tags, for any cut of the text and any tags."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.synth.text.script import ScriptLine, lines_of
from services.synth.text.skipped_tags import MAX_TAG_CHARS, SkippedTags, WrittenPart
from services.synth.text.text_rules import TextRules

pytestmark = pytest.mark.unit

NAMES = ("think", "thinking", "tool_call")
PARTS = st.sampled_from(
    [
        *"<>/ab가 \n",
        "<think>",
        "</think>",
        "<THINK >",
        "<think/>",
        '<think about="x">',
        "</think\n>",
        "</think x>",
        "<thinking>",
        "</Thinking>",
        "<tool_call>",
        "</tool_call>",
        "<think-x>",
        "<thin",
        "think>",
        "<b>",
        "<think " + "x" * 250,
        "İK",
        "네. ",
    ]
)
TEXTS = st.lists(PARTS, max_size=14).map("".join)

_TAG = re.compile(r"<(?:(?P<name>[A-Za-z_]+)(?P<rest>(?:[\s/][^<>]*)?)|/(?P<closed>[A-Za-z_]+)\s*)>")


def expected(text: str) -> list[str]:
    """The rule for a whole text: its spoken parts between tags, the empty ones too."""
    parts, at, depth, within = [""], 0, 0, ""
    for tag in _TAG.finditer(text):
        name = (tag["name"] or tag["closed"]).lower()
        if name not in NAMES or len(tag[0]) > MAX_TAG_CHARS:
            continue
        parts[-1] += "" if depth else text[at : tag.start()]
        if not depth:
            parts.append("")
            depth, within = int(tag["name"] is not None and not tag[0].endswith("/>")), name
        elif name == within and not tag[0].endswith("/>"):
            depth += 1 if tag["name"] else -1
        at = tag.end()
    parts[-1] += "" if depth else text[at:]
    return parts


def read(pieces: list[str]) -> list[WrittenPart]:
    skipped = SkippedTags(NAMES)
    return [part for piece in pieces for part in skipped.push(piece)] + skipped.finish()


def joined(parts: list[WrittenPart]) -> list[str]:
    found = [""]
    for part in parts:
        found[-1] += part.text
        if part.ends:
            found.append("")
    return found


@given(TEXTS)
@example("<think>a</think>b")
@example("a</think>b")
@example("<think>a<think>b</think>c</think>d")
@example("a<think" + " " * 300 + ">b</think>c")
@example("a<think " + "x" * (MAX_TAG_CHARS - 8) + ">b")
@example("a<think " + "x" * (MAX_TAG_CHARS - 7) + ">b")
def test_what_is_left_is_what_the_rule_says(text: str) -> None:
    parts = read([text])
    assert joined(parts) == expected(text)
    for part in parts:
        assert text[part.first : part.first + len(part.text)] == part.text


@given(TEXTS, st.lists(st.integers(0, 300), max_size=20))
def test_every_cut_of_a_text_gives_the_same(text: str, cuts: list[int]) -> None:
    bounds = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[first:end] for first, end in zip(bounds, bounds[1:], strict=False)]
    assert joined(read(pieces)) == joined(read([text])) == joined(read(list(text)))


@given(TEXTS)
def test_little_is_held_back(text: str) -> None:
    """What is no tag is late by at most MAX_TAG_CHARS characters."""
    skipped, passed = SkippedTags(NAMES), ""
    for at, char in enumerate(text, 1):
        passed += "".join(part.text for part in skipped.push(char))
        known = "".join(expected(text[:at]))
        assert known.startswith(passed) and len(known) - len(passed) <= MAX_TAG_CHARS
    assert passed + "".join(part.text for part in skipped.finish()) == "".join(expected(text))


@given(TEXTS)
def test_without_names_the_whole_text_is_spoken(text: str) -> None:
    skipped = SkippedTags(())
    assert joined(skipped.push(text) + skipped.finish()) == [text]


def test_other_tags_are_passed_on_at_once() -> None:
    skipped = SkippedTags(NAMES)
    assert [part.text for part in skipped.push("a < b, <b>c</b>, x<y, <thin")] == ["a < b, <b>c</b>, x<y, "]
    assert [part.text for part in skipped.push("g")] == ["<thing"]


def test_a_hostile_text_takes_time_in_proportion_to_its_length() -> None:
    def cpu_s(text: str) -> float:
        began = time.process_time()
        read([text])
        return time.process_time() - began

    for unit in ("<", "<think", "<think ", "</", "<think><think ", "</think>"):
        short, long = unit * 2_000, unit * 40_000
        ratios = [cpu_s(long) / max(cpu_s(short), 1e-4) for _ in range(3)]
        assert min(ratios) < 60, unit


def test_an_open_tag_without_an_end_is_held_in_bounded_memory() -> None:
    skipped, passed = SkippedTags(NAMES), 0
    for _ in range(1_000):
        passed += sum(len(part.text) for part in skipped.push("<think " + "x" * 1_000))
    assert passed > 1_000_000 - 2 * MAX_TAG_CHARS


# ---- sentences


def spoken(text: str) -> list[str]:
    return [line.text for line in lines_of(text, "ko-KR", 1.0, rules=TextRules(skip_tags=NAMES))]


def test_a_tag_ends_a_sentence() -> None:
    assert spoken("찾아볼게요<tool_call>{}</tool_call>서울은 맑아요") == ["찾아볼게요", "서울은 맑아요"]
    assert spoken("We look at it</think>Hello.") == ["We look at it", "Hello."]
    assert spoken("<think>a</think>") == spoken("<think>안녕하세요. 끝.") == []
    assert spoken("<think>a <think>b</think> c</think>둘.") == ["둘."]


@pytest.mark.parametrize("silent", ["<|im_end|>", "</s>\n</answer>", "[INST]", "<!-- note -->", "<|endoftext|>" * 200])
def test_tags_alone_are_not_spoken(silent: str) -> None:
    """Their names were: what is read out of a sentence is never empty."""
    assert spoken(silent) == spoken(f"<think>a</think>\n{silent}") == []
    assert spoken(f"하나.<think>a</think>{silent}<think>b</think>둘.") == ["하나.", "둘."]
    written = silent.replace("<", "&lt;")
    [line] = lines_of(f"<speak>{written}</speak>", "ko-KR", 1.0, ssml=True)[:1]
    assert any(map(str.isalnum, line.spoken)), "in SSML what looks like a tag is text"


def test_in_ssml_tags_are_markup() -> None:
    document = "<speak>하나. <think>둘.</think></speak>"
    lines = lines_of(document, "ko-KR", 1.0, ssml=True, rules=TextRules(skip_tags=NAMES))
    assert [line.text for line in lines] == ["하나.", "둘."]


@given(TEXTS)
def test_sentences_stand_in_the_written_text_outside_of_what_is_skipped(text: str) -> None:
    skipped = SkippedTags(NAMES)
    written = {
        at for part in skipped.push(text) + skipped.finish() for at in range(part.first, part.first + len(part.text))
    }
    for line in lines_of(text, "ko-KR", 1.0, rules=TextRules(skip_tags=NAMES)):
        assert line.source is not None
        first, end = line.source
        assert text[first:end].split() == line.text.split()
        assert set(range(first, end)) <= written


def word(line: ScriptLine, spoken_as: str, text: str) -> str:
    first = line.spoken.index(spoken_as)
    place = line.place(first, first + len(spoken_as))
    assert place is not None
    return text[slice(*place)]


def test_words_after_a_skipped_part_have_their_place_in_the_written_text() -> None:
    text = "<think>3명이라고? 세 명.</think>  3명이 왔어요. <tool_call>3명</tool_call> 그리고 3명이 갔어요."
    one, two = lines_of(text, "ko-KR", 1.0, rules=TextRules(skip_tags=NAMES))
    assert (one.spoken, two.spoken) == ("세 명이 왔어요.", "그리고 세 명이 갔어요.")
    assert one.source == (text.index("3명이 왔"), text.index(" <tool_call>"))
    assert word(one, "세", text) == "3명" and word(two, "갔어요", text) == "갔어요."[:3]
    first = two.spoken.index("세")
    assert two.place(first, first + 1) == (text.rindex("3명"), text.rindex("3명") + 2)
