"""Sentences for speech: the hard inputs, and that no text is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synth.segment import MAX_CHARS, sentences

pytestmark = pytest.mark.unit

CASES = [
    # numbers, abbreviations, addresses
    ("en", "Dr. Smith paid 3.14 dollars. He left.", ["Dr. Smith paid 3.14 dollars.", "He left."]),
    ("en", "We met at 5 p.m. Then we ate.", ["We met at 5 p.m.", "Then we ate."]),
    ("en", "The U.S. Army is big. Mr. Kim came.", ["The U.S. Army is big.", "Mr. Kim came."]),
    ("en", "J. K. Rowling wrote it. I read it.", ["J. K. Rowling wrote it.", "I read it."]),
    ("en", "See https://example.com/a.b?c=d. Then go.", ["See https://example.com/a.b?c=d.", "Then go."]),
    ("en", "Version v2.1.0 is out! Really?", ["Version v2.1.0 is out!", "Really?"]),
    ("en", "I like node.js. Use a.b.c now.", ["I like node.js.", "Use a.b.c now."]),
    ("ko", "원주율은 3.14입니다. 버전 v2.1.0을 쓰세요.", ["원주율은 3.14입니다.", "버전 v2.1.0을 쓰세요."]),
    ("ko", "가격은 1,234.56원입니다. 비싸요.", ["가격은 1,234.56원입니다.", "비싸요."]),
    ("ko", "사이트는 https://example.com/a.b 입니다. 보세요.", ["사이트는 https://example.com/a.b 입니다.", "보세요."]),
    ("ko", "Dr. Smith가 왔다. 그는 갔다.", ["Dr. Smith가 왔다.", "그는 갔다."]),
    ("ko", "U.S. 대통령이 왔다. No. 1 입니다.", ["U.S. 대통령이 왔다.", "No. 1 입니다."]),
    # no space between sentences
    ("ko", "반갑습니다.그리고 테스트입니다.끝.", ["반갑습니다.", "그리고 테스트입니다.", "끝."]),
    ("ko", "가격은 3.14달러.그리고 끝!다음은?네", ["가격은 3.14달러.", "그리고 끝!", "다음은?", "네"]),
    ("en", "반갑습니다.그리고 갑니다.", ["반갑습니다.", "그리고 갑니다."]),
    # quotations
    ("en", 'He said "Go away. Now!" and left. She stayed.', ['He said "Go away. Now!" and left.', "She stayed."]),
    ("en", '"Go away!" he said. "Now?" She left.', ['"Go away!" he said.', '"Now?"', "She left."]),
    ("en", "“Is it? Yes.” he asked. Ok.", ["“Is it? Yes.” he asked.", "Ok."]),
    ("ko", '그는 "안녕. 잘 지내?"라고 말했다. 그리고 떠났다.', ['그는 "안녕. 잘 지내?"라고 말했다.', "그리고 떠났다."]),
    ("ko", "그는 ‘가자. 빨리.’라고 했다. 끝이다.", ["그는 ‘가자. 빨리.’라고 했다.", "끝이다."]),
    ("ko", "「안녕. 그래.」라고 썼다. 끝.", ["「안녕. 그래.」라고 썼다.", "끝."]),
    ("en", 'A 5" disk is old. It broke. "So what?"', ['A 5" disk is old.', "It broke.", '"So what?"']),
    ("en", '"Never closed. It goes on. And on.', ['"Never closed.', "It goes on.", "And on."]),
    # ellipsis
    ("en", "Wait… what? Yes.", ["Wait…", "what?", "Yes."]),
    ("en", "Hmm... I see.", ["Hmm...", "I see."]),
    ("ko", "글쎄요… 잘 모르겠어요. 네?!", ["글쎄요…", "잘 모르겠어요.", "네?!"]),
    ("ko", "그…그건 아니에요.", ["그…그건 아니에요."]),
    # nothing to say in a piece
    ("en", "👍👍. Good.", ["👍👍. Good."]),
    ("en", "Good. !!! Ok. 👍", ["Good. !!!", "Ok. 👍"]),
    ("ko", "와!!! 정말요?? 네.", ["와!!!", "정말요??", "네."]),
    # lists and dates
    ("en", "1. First item. 2. Second item.", ["1. First item.", "2. Second item."]),
    ("ko", "1. 첫째 항목입니다. 2. 둘째 항목입니다.", ["1. 첫째 항목입니다.", "2. 둘째 항목입니다."]),
    ("ko", "오늘은 2024. 5. 3. 금요일입니다. 네.", ["오늘은 2024. 5. 3. 금요일입니다.", "네."]),
    ("ko", "- 사과\n- 배\n- 감", ["- 사과", "- 배", "- 감"]),
    ("en", "He was born in 1990. Then he grew.", ["He was born in 1990.", "Then he grew."]),
    # white space, full-width marks, other languages
    ("ko", "  앞. \n\n 뒤.  ", ["앞.", "뒤."]),
    ("ko", "안녕하세요。네。 그래！좋아？응", ["안녕하세요。", "네。", "그래！", "좋아？", "응"]),
    ("ja-JP", "今日は。元気ですか。", ["今日は。", "元気ですか。"]),
    ("ko-KR", "안녕. Hello there. 그래.", ["안녕.", "Hello there.", "그래."]),
    ("en-US", "No marks at all", ["No marks at all"]),
    ("", "한글입니다. 네.", ["한글입니다.", "네."]),
    ("ko", "👍 … !!", []),
    ("ko", "", []),
]


@pytest.mark.parametrize(("language", "text", "expected"), CASES, ids=[text[:24] for _, text, _ in CASES])
def test_hard_inputs(language: str, text: str, expected: list[str]) -> None:
    assert sentences(text, language) == expected


def test_a_long_sentence_is_cut_after_a_comma() -> None:
    parts = sentences("가나다라 마바사아, " * 60 + "끝.", "ko")
    assert len(parts) > 2
    assert all(len(part) <= MAX_CHARS for part in parts)
    assert all(part.endswith(",") for part in parts[:-1])


def test_without_a_comma_at_a_space_and_without_that_anywhere() -> None:
    assert all(len(part) <= MAX_CHARS and not part.startswith("ord") for part in sentences("word " * 200, "en"))
    assert [len(part) for part in sentences("가" * 1000, "ko")] == [300, 300, 300, 100]


def test_a_long_quotation_is_not_held_together() -> None:
    assert len(sentences('"' + "It goes on and on. " * 40 + 'End." he said.', "en")) > 30


UGLY = st.text(
    alphabet=st.sampled_from("ab가나다1２ .,!?…\"“”‘’'「」()\n\t\u00a0\u3000\u200b👍。！é\u0301-"), max_size=60
)


@settings(deadline=None, max_examples=150)
@given(st.one_of(UGLY, st.text(max_size=80)), st.sampled_from(["ko-KR", "en-US", "ja", "xx", ""]))
def test_nothing_is_lost(text: str, language: str) -> None:
    found = sentences(text, language)
    if any(char.isalnum() for char in text):
        assert "".join("".join(found).split()) == "".join(text.split())
    else:
        assert found == []
    assert all(any(char.isalnum() for char in sentence) for sentence in found)
    assert all(sentence == sentence.strip() for sentence in found)


@settings(deadline=None, max_examples=10)
@given(st.text(alphabet=st.sampled_from("ab가 ,;1"), min_size=300, max_size=1500))
def test_no_sentence_is_too_long(text: str) -> None:
    assert all(len(sentence) <= MAX_CHARS for sentence in sentences("가" + text, "ko") if sentence.count(",") == 0)
