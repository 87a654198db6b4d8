"""Tags of HTML, XML and language models, and text that only looks like one."""

import pytest

from services.synth.reading import EditedText, read_out
from services.synth.reading.tags import is_silent, without

pytestmark = pytest.mark.unit

TAGS = [
    ("네</think>안녕", "네 안녕"),
    ("<tool_call>확인</tool_call>", " 확인 "),
    ('<custom-tag a="b" c>중요</custom-tag>한', "중요한"),
    ("<ns:tag>글</ns:tag>", "글"),
    ("안녕<|im_end|>", "안녕 "),
    ("<function=call>네</function>", "네"),
    ("안녕<s>하세요</s>", "안녕하세요"),
    ("<unk>네<eos>", " 네 "),
    ("[INST]질문[/INST]", " 질문 "),
    ("a<br/>b<br />c<BR>d", "a b c d"),
    ("<b>중요</b>한", "중요한"),
    ('<a href="https://a.com/x>y">링크</a>를 <a href=/b>b</a>', "링크를 b"),
    ("<details open>네</details>", " 네 "),
    ('<!DOCTYPE html><html lang="ko">', ""),
    ("a<!-- b -->c", "a c"),
    ("&lt;b&gt; R&amp;D &nbsp;&hellip; &#8217;&#x27;", "<b> R&D  … ’'"),
    ("a&#8203;b&#xA0;c", "ab c"),
]

TEXTS = [
    "a < b", "x<y and y>z", "a<b and b>c", "사랑해 <3", "3 < 5", "5>3", "List<int>", "Map<String, Integer>",
    "vector<T> v", "<unk", "<- a -> b => c", "<your name>", "<이름>님", "<hong@a.com>", "<https://a.com/b>",
    "<www.naver.com>", "<tel:010-1234-5678>", "if a <b then c> d", "x <y=3 and z> 5", "<>", "</", "[1]", "[참고]",
    "AT&T;", "R&D", "a & b; c",
]  # fmt: skip


@pytest.mark.parametrize(("written", "plain"), TAGS, ids=[written for written, _ in TAGS])
def test_tags_are_silent_as_a_whole(written: str, plain: str) -> None:
    assert without(EditedText(written)).text == plain


@pytest.mark.parametrize("written", TEXTS)
def test_text_that_is_not_a_tag_stays(written: str) -> None:
    assert without(EditedText(written)).text == written


@pytest.mark.parametrize(
    ("written", "silent"),
    [("</think>", True), ("<|im_end|> !", True), ("<!-- a -->", True), ("<3", False), ("<b>a</b>", False)],
)
def test_a_text_of_tags_alone_is_silent(written: str, silent: bool) -> None:
    assert is_silent(written) is silent


def test_what_looks_like_a_tag_is_text_in_ssml() -> None:
    assert read_out("<think> 태그", "ko-KR") == "태그"
    assert read_out("<think> 태그", "ko-KR", tags=False) == "think 태그"
