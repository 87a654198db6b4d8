"""Texts as lines: the displayed text, the text for the engine, and SSML."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract.errors import InvalidRequest
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.reading import read_out
from services.synth.speech.phrase_key import phrase_key
from services.synth.text.script import ScriptLine, line_of, lines_of, script_of
from services.synth.text.sentence_splitter import sentences
from services.synth.text.ssml_script import PARAGRAPH_S
from services.synth.text.text_rules import TextRules

pytestmark = pytest.mark.unit


def marked(inner: str, language: str = "ko-KR", speed: float = 1.0, *, reads: bool = True) -> list[ScriptLine]:
    return lines_of(f"<speak>{inner}</speak>", language, speed, ssml=True, rules=TextRules(reads=reads))


def spoken(inner: str, language: str = "ko-KR") -> list[str]:
    return [line.spoken for line in marked(inner, language)]


def test_line_has_the_written_text_and_the_text_to_speak() -> None:
    assert lines_of("3명이 왔다. 3.14다.", "ko-KR", 1.2) == [
        ScriptLine("3명이 왔다.", "세 명이 왔다.", "ko-KR", 1.2),
        ScriptLine("3.14다.", "삼 점 일사다.", "ko-KR", 1.2),
    ]


def test_line_is_spoken_as_written_when_reading_is_off() -> None:
    assert lines_of("3명이 왔다.", "ko-KR", 1.0, rules=TextRules(reads=False)) == [
        ScriptLine("3명이 왔다.", "3명이 왔다.", "ko-KR", 1.0)
    ]
    assert [line.spoken for line in marked("3명이 <sub alias='4명'>x</sub>", reads=False)] == ["3명이 4명"]
    with_say_as = marked("<say-as interpret-as='digits'>31</say-as>번", reads=False)
    assert [line.spoken for line in with_say_as] == ["삼일번"], "say-as had no effect while reading is off"


async def test_script_of_returns_the_same_lines_as_lines_of() -> None:
    text = "<speak>하나. 둘 2.</speak>"
    for ssml in (False, True):
        found = [line async for line in script_of(text, "ko-KR", 1.0, ssml=ssml)]
        assert found == lines_of(text, "ko-KR", 1.0, ssml=ssml)


def test_phrase_key_depends_on_the_text_to_speak() -> None:
    """Two spellings with the same reading have the same audio; another language, speed or setting has another."""
    info = EngineInfo("x", "1", True, 1, True, 22_050, {})
    texts = [("3명", "ko", 1.0, True), ("세 명", "ko", 1.0, True), ("3명", "ko", 1.0, False)]
    texts += [("3명", "ko", 1.1, True), ("3명", "en", 1.0, True)]
    keys = [
        phrase_key(info, line_of(text, tag, speed, rules=TextRules(reads=reads)), None)
        for text, tag, speed, reads in texts
    ]
    assert keys[0] == keys[1] and len(set(keys)) == 4


# ---- SSML


def test_plain_text_gives_the_same_lines_with_and_without_speak() -> None:
    text = "안녕하세요. 3명입니다."
    assert marked(text) == lines_of(text, "ko-KR", 1.0)


def test_markup_in_plain_text_is_kept_as_text() -> None:
    assert [line.text for line in lines_of("<b>안녕</b>", "ko-KR", 1.0)] == ["<b>안녕</b>"]


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("하나.<break time='500ms'/>둘.", [("하나.", 0, 0.5), ("둘.", 0, 0)]),
        ("하나.<break/> 둘.", [("하나.", 0, 0.4), ("둘.", 0, 0)]),
        ("하나 <break strength='x-strong'/> 둘", [("하나", 0, 1.0), ("둘", 0, 0)]),
        ("하나 <break strength='none'/> 둘", [("하나 둘", 0, 0)]),
        ("하나<break time='0s'/> 둘", [("하나 둘", 0, 0)]),
        ("하나.<break time='1s' strength='weak'/>둘.", [("하나.", 0, 1.0), ("둘.", 0, 0)]),
        ("하나.<break time='1s'/><break time='0.5s'/>둘.", [("하나.", 0, 1.5), ("둘.", 0, 0)]),
        ("<break time='2s'/>하나.", [("하나.", 2.0, 0)]),
        ("하나.<break time='500ms'/>", [("하나.", 0, 0.5)]),
        ("하나.<break time='1s'/>!!!<break time='1s'/>둘.", [("하나.", 0, 2.0), ("둘.", 0, 0)]),
        ("<p>하나.</p><p>둘.</p>", [("하나.", 0, PARAGRAPH_S), ("둘.", 0, 0)]),
        ("<p>하나.</p><break time='2s'/><p>둘.</p>", [("하나.", 0, 2.0), ("둘.", 0, 0)]),
        ("<p></p><p>하나.</p>", [("하나.", 0, 0)]),
        ("<s>하나</s><s>둘</s>", [("하나", 0, 0), ("둘", 0, 0)]),
    ],
)
def test_lines_have_the_pauses_of_break_elements(inner: str, expected: list[tuple[str, float, float]]) -> None:
    assert [(line.text, line.before_s, line.pause_s) for line in marked(inner)] == expected


@pytest.mark.parametrize(
    ("rate", "speed", "expected"),
    [
        ("slow", 1.0, 0.75),
        ("x-fast", 1.0, 1.5),
        ("80%", 1.0, 0.8),
        ("+20%", 1.0, 1.2),
        ("-20%", 1.5, 1.2),
        ("1.5", 1.0, 1.5),
        ("400%", 1.0, 2.0),
        ("10%", 1.0, 0.5),
        ("x-fast", 1.8, 2.0),
    ],
)
def test_rate_multiplies_the_speed_within_its_bounds(rate: str, speed: float, expected: float) -> None:
    before, inside, after = marked(f"앞 <prosody rate='{rate}'>안</prosody> 뒤", speed=speed)
    assert (before.text, inside.text, after.text) == ("앞", "안", "뒤")
    assert (before.speed, inside.speed, after.speed) == (speed, expected, speed)


def test_nested_rates_are_multiplied() -> None:
    lines = marked("<prosody rate='50%'>가 <prosody rate='150%'>나</prosody></prosody>")
    assert [(line.text, line.speed) for line in lines] == [("가", 0.5), ("나", 0.75)]
    assert [line.text for line in marked("<prosody pitch='high' volume='loud'>가 나</prosody> 다")] == ["가 나 다"]


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<say-as interpret-as='characters'>AB3</say-as>입니다.", ["에이 비 삼입니다."]),
        ("<say-as interpret-as='telephone'>010-1234-5678</say-as>로", ["공일공 일이삼사 오육칠팔로"]),
        ("<say-as interpret-as='date' format='md'>3/4</say-as>에", ["삼월 사 일에"]),
        ("<say-as interpret-as='strange'>3명</say-as>", ["세 명"]),
        ("<say-as>3명</say-as>", ["세 명"]),
        ("<sub alias='국립국어원'>NIKL</sub>의 3명. 끝.", ["국립국어원의 세 명.", "끝."]),
        ("<sub alias='하나. 둘. 셋'>123</sub>입니다.", ["하나. 둘. 셋입니다."]),
        ("<sub alias='3명'>x</sub>", ["세 명"]),
        ("<sub>3명</sub>", ["세 명"]),
        ("<sub alias='3'>three</sub>명이 왔다.", ["세 명이 왔다."]),
        ("총 <sub alias='10'>X</sub>월", ["총 시월"]),
        ("1<sub alias='3'>x</sub>명", ["일삼명"]),
        ("<sub alias='3'>x</sub>의", ["삼의"]),
        ("<say-as interpret-as='cardinal'>3</say-as>명이", ["삼 명이"]),
        ("<say-as interpret-as='cardinal'>3</say-as>은", ["삼은"]),
        ("<say-as interpret-as='digits'>31</say-as>번", ["삼일번"]),
        ("<sub alias='!'>가</sub> 나", ["나"]),
        ("<emphasis>중요</emphasis>한 <mark name='a'/>3명 <audio src='x'>대신</audio>", ["중요한 세 명 대신"]),
        ("<metadata>아님</metadata>하나<audio><desc>아님</desc></audio>", ["하나"]),
        ("하나 &amp; 둘 &lt;셋&gt;", ["하나 앤드 둘 셋"]),
        ("<![CDATA[3명 <b>]]>", ["세 명 비"]),
        ("<!-- 4명 --><?say 5명?>3명", ["세 명"]),
        ("한\n  문장이다.\n둘째\n문장", ["한 문장이다.", "둘째 문장"]),
        ("나는 <prosody rate='1.0'>천천히</prosody> 간다", ["나는 천천히 간다"]),
    ],
)
def test_spoken_text_of_markup(inner: str, expected: list[str]) -> None:
    assert spoken(inner) == expected


def test_displayed_text_is_the_written_text() -> None:
    (line,) = marked("<sub alias='국립국어원'>NIKL</sub>의 <say-as interpret-as='digits'>31</say-as>")
    assert line.text == "NIKL의 31"


def test_lines_have_the_language_of_their_element() -> None:
    lines = marked("3명. <lang xml:lang='en-US'>3 people.</lang><p xml:lang='en'>5<break/> of 6</p> 7명")
    assert [(line.language, line.spoken) for line in lines] == [
        ("ko-KR", "세 명."),
        ("en-US", "three people."),
        ("en", "five"),
        ("en", "of six"),
        ("ko-KR", "일곱 명"),
    ]


def test_placeholders_are_never_letters_of_the_text() -> None:
    assert spoken("ꀀ ꀁ <sub alias='하나'>x</sub> ꀂ", "ii") == ["ꀀ ꀁ 하나 ꀂ"]
    many = "".join(f"<sub alias='번호{n}'>x</sub>. " for n in range(1500))
    assert [line.spoken for line in marked(many, reads=False)][-1] == "번호1499."


YI = "".join(map(chr, range(0xA000, 0xA48D)))
"""The signs that stand for readings while a text is split."""


@pytest.mark.parametrize("sign", ["\ua000", "&#xA000;"])
def test_yi_signs_of_the_text_are_not_taken_for_stand_ins(sign: str) -> None:
    (line,) = marked(f"A {sign} <sub alias='eins'>1</sub> b", "en-US")
    assert (line.text, line.spoken) == ("A \ua000 1 b", "A \ua000 eins b")


def test_readings_are_sentences_of_their_own_when_the_text_has_all_yi_signs() -> None:
    inner = f"{YI} <sub alias='eins'>1</sub> b.<break time='1s'/><say-as interpret-as='characters'>XY</say-as> c."
    lines = marked(inner, "en-US")
    assert "".join(line.text for line in lines[:-4]) == YI
    assert [(line.text, line.spoken, line.pause_s) for line in lines[-4:]] == [
        ("1", "eins", 0),
        ("b.", "b.", 1.0),
        ("XY", "X Y", 0),
        ("c.", "c.", 0),
    ]


def test_text_that_is_no_ssml_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="text: is no SSML at line 1, column"):
        lines_of("안녕", "ko-KR", 1.0, ssml=True)


BITS = st.sampled_from(
    ["하나. ", "3명 ", "Two. ", "<break/>", "<break time='1s'/>", "<p>", "</p>", "<s>", "</s>", "<prosody rate='slow'>"]
    + [
        "</prosody>",
        "<sub alias='넷'>4</sub>",
        "<say-as interpret-as='digits'>12</say-as>",
        "&amp;",
        "<b>",
        "</b>",
        "\n",
    ]
)


@settings(max_examples=300)
@given(st.lists(BITS, max_size=14).map("".join))
def test_any_markup_gives_lines_or_is_refused(inner: str) -> None:
    """Every attempt has the same lines, and each line has something to say."""
    try:
        lines = marked(inner)
    except InvalidRequest:
        return
    assert lines == marked(inner)
    assert lines
    for line in lines:
        assert any(char.isalnum() for char in line.spoken)
        assert 0.5 <= line.speed <= 2.0
        assert line.pause_s >= 0 and (line.before_s == 0 or line is lines[0])


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["하나. ", "3명이 ", "2024. 5. 3. ", "Two. ", "👍 ", "ㅠㅠ"]), max_size=8).map("".join))
def test_text_is_read_sentence_by_sentence(text: str) -> None:
    """So a streamed text is read like a complete one."""
    expected = [(sentence, read_out(sentence, "ko-KR")) for sentence in sentences(text, "ko-KR")]
    assert [(line.text, line.spoken) for line in lines_of(text, "ko-KR", 1.0)] == expected
