"""Sentences for speech: difficult inputs, and no text is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synth.text import sentence_boundaries
from services.synth.text.sentence_splitter import MAX_CHARS, Sentences, sentences

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

MORE = [
    ("ko", "원주율은 3.14. 다음은 자연상수입니다.", ["원주율은 3.14.", "다음은 자연상수입니다."]),
    ("ko", "정답은 3.14", ["정답은 3.14"]),
    ("ko", "Dr. Kim이 왔습니다. Mr. Lee도요.", ["Dr. Kim이 왔습니다.", "Mr. Lee도요."]),
    ("ko", "회의는 9 a.m. 회의실에서 합니다. 오세요.", ["회의는 9 a.m. 회의실에서 합니다.", "오세요."]),
    ("ko", "오후 3 p.m.에 봐요. 네.", ["오후 3 p.m.에 봐요.", "네."]),
    ("ko", "사과, 배, 감 등. 다 좋아요.", ["사과, 배, 감 등.", "다 좋아요."]),
    ("ko", "v2.1.0을 썼다. v2.2.0은 아직이다.", ["v2.1.0을 썼다.", "v2.2.0은 아직이다."]),
    ("ko", "메일은 a.b@c.co.kr 입니다. 보내세요.", ["메일은 a.b@c.co.kr 입니다.", "보내세요."]),
    ("ko", '그는 "가자." 하고 말했다. 끝.', ['그는 "가자." 하고 말했다.', "끝."]),
    ("ko", '그는 "가자." 라고 했다. 끝.', ['그는 "가자." 라고 했다.', "끝."]),
    ("ko", '"가자." 그는 떠났다.', ['"가자."', "그는 떠났다."]),
    ("ko", "나는 (정말이다. 진짜.) 갔다. 네.", ["나는 (정말이다. 진짜.) 갔다.", "네."]),
    ("ko", "나는 (정말 갔다. 그리고 안 왔다", ["나는 (정말 갔다.", "그리고 안 왔다"]),
    ("ko", "여는 따옴표 “만 있다. 그래도 끝난다. 네.", ["여는 따옴표 “만 있다.", "그래도 끝난다.", "네."]),
    ("ko", "오늘의 할 일\n- 우유 사기\n- 빨래하기\n끝!", ["오늘의 할 일", "- 우유 사기", "- 빨래하기", "끝!"]),
    ("ko", "제목\n본문입니다.\n다음 줄", ["제목", "본문입니다.", "다음 줄"]),
    ("en", "This line is\nwrapped here. Next.", ["This line is\nwrapped here.", "Next."]),
    ("en", "Shopping list:\nmilk\nEggs", ["Shopping list:", "milk", "Eggs"]),
    ("en", "He asked (why? nobody knows.) and left. Ok.", ["He asked (why? nobody knows.) and left.", "Ok."]),
    ("ko", "좋아요 😊 정말요? 네 👍 그럼요.", ["좋아요 😊 정말요?", "네 👍 그럼요."]),
    ("ko", "안녕 :( 그래. 네.", ["안녕 :( 그래.", "네."]),
    ("ko", "1. 첫째\n2. 둘째\n3. 셋째", ["1. 첫째", "2. 둘째", "3. 셋째"]),
    ("ko", "① 첫째입니다. ② 둘째입니다.", ["① 첫째입니다.", "② 둘째입니다."]),
    ("ko", "가나다... 라마바. 사아자……. 차카.", ["가나다...", "라마바.", "사아자…….", "차카."]),
    ("ko", "네?! 정말요!! 와~ 좋다.", ["네?!", "정말요!!", "와~ 좋다."]),
    ("ko", "『책. 이름』을 읽었다. 「글」도.", ["『책. 이름』을 읽었다.", "「글」도."]),
    (
        "ko",
        "2024. 5. 3. 금요일에 만나요. 2024년 5월 3일입니다.",
        ["2024. 5. 3. 금요일에 만나요.", "2024년 5월 3일입니다."],
    ),
    ("ko", "I love you. 사랑해요. Thank you!", ["I love you.", "사랑해요.", "Thank you!"]),
    ("ko", "AI는 인공지능입니다.LLM은 언어 모델입니다.", ["AI는 인공지능입니다.", "LLM은 언어 모델입니다."]),
    ("en", "Prof. Lee, Ph.D., teaches. Students learn.", ["Prof. Lee, Ph.D., teaches.", "Students learn."]),
    ("en", "It costs $3.50. Cheap!", ["It costs $3.50.", "Cheap!"]),
    ("en", "Use e.g. Python or i.e. Ruby. Done.", ["Use e.g. Python or i.e. Ruby.", "Done."]),
    ("en", "Visit www.example.com. Then call.", ["Visit www.example.com.", "Then call."]),
    ("en", "The temp is -3.5 degrees. Cold.", ["The temp is -3.5 degrees.", "Cold."]),
    ("en", 'She said: "Stop." He stopped.', ['She said: "Stop."', "He stopped."]),
    ("en", "One;two: three. Four—five. Six", ["One;two: three.", "Four—five.", "Six"]),
    (
        "en",
        "Open at 9 a.m. and close at 5 p.m. Monday to Friday.",
        ["Open at 9 a.m. and close at 5 p.m.", "Monday to Friday."],
    ),
    ("en", "No way!Really? Yes.", ["No way!", "Really?", "Yes."]),
    ("en", "A. First. B. Second.", ["A. First.", "B. Second."]),
    ("en", "Wait...what? Ok.", ["Wait...what?", "Ok."]),
    ("ko", "응.응.응.", ["응.", "응.", "응."]),
    ("ko", "총 1,234,567.89원. 비싸다.", ["총 1,234,567.89원.", "비싸다."]),
    ("ko", "U.S.A. 대통령. No. 7 선수.", ["U.S.A. 대통령.", "No. 7 선수."]),
    ("ko", "(1) 하나. (2) 둘.", ["(1) 하나.", "(2) 둘."]),
    ("ko", "그녀가 '안녕.' 하고 인사했다. 응.", ["그녀가 '안녕.' 하고 인사했다.", "응."]),
    ("ko", "배송 완료!\n\n\n감사합니다", ["배송 완료!", "감사합니다"]),
    ("ko", "첫째, 가. 둘째, 나.", ["첫째, 가.", "둘째, 나."]),
    # abbreviations before a number, list numbers, sentences with a number directly after them
    ("ko", "Ep. 3 공개됩니다. Vol. 2 출간.", ["Ep. 3 공개됩니다.", "Vol. 2 출간."]),
    ("ko", "Ch. 3 요약입니다. 네.", ["Ch. 3 요약입니다.", "네."]),
    ("en", "See Fig. 3 and Ch. 4. They help.", ["See Fig. 3 and Ch. 4.", "They help."]),
    ("en", "It was a trip. 3 people came.", ["It was a trip.", "3 people came."]),
    ("ko", "가. 항목입니다. 나. 둘째입니다.", ["가. 항목입니다.", "나. 둘째입니다."]),
    ("ko", "나는 가. 너는 나.", ["나는 가.", "너는 나."]),
    ("ko", "Ⅰ. 서론입니다. Ⅱ. 본론입니다.", ["Ⅰ. 서론입니다.", "Ⅱ. 본론입니다."]),
    ("ko", "ii. 둘째입니다. iii. 셋째입니다.", ["ii. 둘째입니다.", "iii. 셋째입니다."]),
    ("ko", "**Q. 환불되나요?** 네.", ["**Q. 환불되나요?", "** 네."]),
    ("ko", "그렇습니다.2024년에는 달라요.3명이 왔죠. 네.", ["그렇습니다.", "2024년에는 달라요.", "3명이 왔죠.", "네."]),
    ("ko", "다.1항과 3.14다.", ["다.1항과 3.14다."]),
    ("ko", "https://example.com/a?b=c.d 를 보세요. 네.", ["https://example.com/a?b=c.d 를 보세요.", "네."]),
    # marks around an ellipsis
    ("en", "Wait!... Yes...?! No.... Ok", ["Wait!...", "Yes...?!", "No....", "Ok"]),
    ("en", "Wait!..Yes... No", ["Wait!..", "Yes...", "No"]),
    # a full stop that begins a word
    ("en", "I use .NET daily. It works.", ["I use .NET daily.", "It works."]),
    ("en", "I like it. .NET is old.", ["I like it.", ".NET is old."]),
    ("en", "Use C#, e.g. .NET Core. Ok.", ["Use C#, e.g. .NET Core.", "Ok."]),
    ("en", "Java vs. .NET is old. Ok.", ["Java vs. .NET is old.", "Ok."]),
    ("en", "Run ./build.sh now. Then wait.", ["Run ./build.sh now.", "Then wait."]),
    ("en", "It is done. ../a.txt is there.", ["It is done.", "../a.txt is there."]),
    ("en", "Add .5 cups. Stir.", ["Add .5 cups.", "Stir."]),
    ("en", "Edit it. .env is next.", ["Edit it.", ".env is next."]),
    ("en", "Hello .Then we go.", ["Hello .", "Then we go."]),
    ("en", "(I like it. .NET is old.) Ok.", ["(I like it. .NET is old.)", "Ok."]),
    ("ko", "저는 .NET을 씁니다. 네.", ["저는 .NET을 씁니다.", "네."]),
    ("ko", "씁니다. .NET은 좋아요. ./a.sh를 실행하세요.", ["씁니다.", ".NET은 좋아요.", "./a.sh를 실행하세요."]),
    # abbreviations before a number, and days and months before a word in lower case
    ("en", "It takes approx. 5 minutes. Wait.", ["It takes approx. 5 minutes.", "Wait."]),
    ("en", "It costs approx. $5. Wait.", ["It costs approx. $5.", "Wait."]),
    ("en", "Max. 5, min. 3, avg. 4. Ok.", ["Max. 5, min. 3, avg. 4.", "Ok."]),
    ("en", "Est. 1990. Tel. 555, ext. 12. Ok.", ["Est. 1990.", "Tel. 555, ext. 12.", "Ok."]),
    ("en", "See Ch. IV. It helps.", ["See Ch. IV.", "It helps."]),
    ("en", "It weighs 5 kg max. I think so.", ["It weighs 5 kg max.", "I think so."]),
    ("en", "Open Mon. to Fri. at 5. Ok.", ["Open Mon. to Fri. at 5.", "Ok."]),
    ("en", "Open Mon.-Fri. at 5. Ok.", ["Open Mon.-Fri. at 5.", "Ok."]),
    ("en", "Sat. – Sun. closed. Ok.", ["Sat. – Sun. closed.", "Ok."]),
    ("en", "We met on Mon.\n- Tea. Ok.", ["We met on Mon.", "- Tea.", "Ok."]),
    ("en", "It is on Fri. We go.", ["It is on Fri.", "We go."]),
    ("en", "No. I did not. No. He left.", ["No.", "I did not.", "No.", "He left."]),
    ("en", "Use e.g. 3 eggs. See No. 5, Fig. 2 and p. 12.", ["Use e.g. 3 eggs.", "See No. 5, Fig. 2 and p. 12."]),
    ("en", "Real vs. Bayern at Mt. Hood. Ok.", ["Real vs. Bayern at Mt. Hood.", "Ok."]),
    ("en", "St. Louis likes Dr. Smith. Ok.", ["St. Louis likes Dr. Smith.", "Ok."]),
    ("en", "The U.S. economy grew. Ok.", ["The U.S. economy grew.", "Ok."]),
    ("en", "It was 9 a.m. today. It is 5 p.m. We go.", ["It was 9 a.m. today.", "It is 5 p.m.", "We go."]),
    ("en", "It ended at 5. He left.", ["It ended at 5.", "He left."]),
    ("en", "J. R. R. Tolkien wrote v1.2 in node.js. Ok.", ["J. R. R. Tolkien wrote v1.2 in node.js.", "Ok."]),
    ("ko", "약 approx. 5분입니다. 네.", ["약 approx. 5분입니다.", "네."]),
    ("ko", "25.1.2.(목) 회의입니다. 네.", ["25.1.2.(목) 회의입니다.", "네."]),
    ("ko", "2024. 5. 3.(금)에 만나요. 네.", ["2024. 5. 3.(금)에 만나요.", "네."]),
    # tags say nothing: they are no sentence of their own
    ("ko", "안녕하세요. <|im_end|>", ["안녕하세요. <|im_end|>"]),
    ("ko", "안녕하세요.<|im_end|>\n반가워요.</s>", ["안녕하세요.<|im_end|>", "반가워요.</s>"]),
    ("ko", "</think>\n\n안녕하세요. 네.", ["</think>\n\n안녕하세요.", "네."]),
    ("ko", "안녕. <b>다음</b> 말. 네", ["안녕.", "<b>다음</b> 말.", "네"]),
    ("en", "<think>\nOk.\n</think>\n\nHello. Bye.", ["<think>\nOk.\n</think>", "Hello.", "Bye."]),
    ("en", 'It is 5. <end reason="stop">', ['It is 5. <end reason="stop">']),
    ("en", "It is so. <3 Yes. <", ["It is so.", "<3 Yes. <"]),
    ("en", "Is x <y. Then go! Ok.", ["Is x <y.", "Then go!", "Ok."]),
    ("en", "<unk>", ["<unk>"]),
    (
        "en",
        "<|endoftext|>" * 50 + "Hello. Bye.",
        ["<|endoftext|>" * 23, "<|endoftext|>" * 23, "<|endoftext|>" * 4 + "Hello.", "Bye."],
    ),
    ("en", "<!-- note -->Hello. Bye.", ["<!-- note -->Hello.", "Bye."]),
]


@pytest.mark.parametrize(("language", "text", "expected"), CASES + MORE, ids=[text[:24] for _, text, _ in CASES + MORE])
def test_splitter_cuts_difficult_texts_as_in_the_table(language: str, text: str, expected: list[str]) -> None:
    assert sentences(text, language) == expected


@pytest.mark.parametrize("space", "\x85\u00a0\u1680\u2000\u2009\u2028\u2029\u202f\u205f\u3000")
@pytest.mark.parametrize("language", ["ko", "en", "fr", "ja"])
def test_splitter_accepts_any_white_space_before_a_full_stop(language: str, space: str) -> None:
    """sentencex panics at it, and a panic is not an Exception: it ended every process that got the text."""
    plain = "Plan A . Go on."
    found = sentences(plain.replace(" .", f"{space}."), language)
    assert [sentence.replace(space, " ") for sentence in found] == sentences(plain, language)


def test_splitter_cuts_a_long_sentence_after_a_comma() -> None:
    parts = sentences("가나다라 마바사아, " * 60 + "끝.", "ko")
    assert len(parts) > 2
    assert all(len(part) <= MAX_CHARS for part in parts)
    assert all(part.endswith(",") for part in parts[:-1])


def test_splitter_cuts_at_a_space_without_a_comma_and_anywhere_without_a_space() -> None:
    assert all(len(part) <= MAX_CHARS and not part.startswith("ord") for part in sentences("word " * 200, "en"))
    assert [len(part) for part in sentences("가" * 1000, "ko")] == [300, 300, 300, 100]


def test_splitter_cuts_a_long_quotation() -> None:
    assert len(sentences('"' + "It goes on and on. " * 40 + 'End." he said.', "en")) > 30


UGLY = st.text(
    alphabet=st.sampled_from("ab가나다1２ .,!?…\"“”‘’'「」()\n\t\u00a0\u3000\u200b👍。！é\u0301-<|/>"), max_size=60
)


@settings(max_examples=150)
@given(st.one_of(UGLY, st.text(max_size=80)), st.sampled_from(["ko-KR", "en-US", "ja", "xx", ""]))
def test_splitter_loses_no_text(text: str, language: str) -> None:
    found = sentences(text, language)
    if any(char.isalnum() for char in text):
        assert "".join("".join(found).split()) == "".join(text.split())
    else:
        assert found == []
    assert all(any(char.isalnum() for char in sentence) for sentence in found)
    assert all(sentence == sentence.strip() for sentence in found)


@settings(max_examples=30)
@given(st.text(alphabet=st.sampled_from("ab가 ,;1"), min_size=300, max_size=1500))
def test_splitter_returns_no_sentence_above_the_limit(text: str) -> None:
    found = sentences("가" + text, "ko")
    assert all(len(sentence.strip(",; ")) <= MAX_CHARS for sentence in found), (
        "a sentence exceeds the limit by more than trailing marks"
    )


# ---- streamed text

HARD = st.lists(st.sampled_from([text for _, text, _ in CASES + MORE]), max_size=4).map(" ".join)
LONG = st.text(alphabet=st.sampled_from('ab가 ,;1.!"(\n<|/>'), max_size=1200)


@st.composite
def cut_up(draw: st.DrawFn) -> list[str]:
    """Splits a text into pieces of any size."""
    text = draw(st.one_of(UGLY, HARD, LONG))
    if not text:
        return []
    bounds = sorted(draw(st.sets(st.integers(0, len(text)), max_size=40)) | {0, len(text)})
    return [text[begin:end] for begin, end in zip(bounds, bounds[1:], strict=False)]


@settings(max_examples=200)
@given(cut_up(), st.sampled_from(["ko-KR", "en-US"]))
def test_sentences_are_the_same_for_any_split_of_the_text(parts: list[str], language: str) -> None:
    stream = Sentences(language)
    found = [sentence for part in parts for sentence in stream.push(part)]
    assert [*found, *stream.finish()] == sentences("".join(parts), language)


@pytest.mark.parametrize(("language", "text", "expected"), CASES + MORE, ids=[text[:24] for _, text, _ in CASES + MORE])
def test_sentences_are_the_same_letter_by_letter(language: str, text: str, expected: list[str]) -> None:
    stream = Sentences(language)
    assert [*[found for char in text for found in stream.push(char)], *stream.finish()] == expected


def test_splitter_does_not_pass_texts_to_sentencex_at_which_it_panics() -> None:
    """Known inputs that make it panic are not passed to it; there may be others."""
    assert sentence_boundaries._segmented("en", "Plan A\u00a0. Then B.") == ["Plan A\u00a0. Then B."]
    assert sentence_boundaries._segmented("en", "Plan A. Then B.") == ["Plan A. ", "Then B."]


def test_push_returns_a_sentence_when_the_next_one_begins() -> None:
    stream = Sentences("ko-KR")
    assert stream.push("안녕하세요. ") == []
    assert stream.push("오") == ["안녕하세요."]
    assert stream.push("늘은 2024. 5. 3. 금요일이고 3.14는 원주율입니다!") == []
    assert stream.push(" (참고: 아니다. 정말") == ["오늘은 2024. 5. 3. 금요일이고 3.14는 원주율입니다!"]
    assert stream.push("이다.) 끝.") == ["(참고: 아니다. 정말이다.)"]
    assert stream.finish() == ["끝."]
    assert stream.push("새 글. 또") == ["새 글."], "the splitter is not in its initial state after finish"
    assert stream.finish() == ["또"]


def test_what_may_be_a_tag_delays_a_sentence_by_a_bounded_number_of_characters() -> None:
    stream = Sentences("en-US")
    assert stream.push("It is true. <|im_end") == []
    assert stream.push("|> Then") == []
    assert stream.push(" ") == ["It is true."]
    assert stream.push("it goes. <never closed") == []
    assert stream.push("a" * 60 + " ") == ["<|im_end|> Then it goes."]
    assert stream.finish() == ["<never closed" + "a" * 60]
    assert stream.push("If x <y. Then ") == ["If x <y."], "what is not a tag delays the end of its sentence"


def test_open_quotation_ends_with_its_line() -> None:
    stream = Sentences("ko-KR")
    assert stream.push("그는 “가자. 빨리. 지금") == []
    assert stream.push("\n다음 줄") == ["그는 “가자.", "빨리.", "지금"]


@pytest.mark.parametrize(
    "unit", ["가", "!", "\n", " ", "“", '"', "가. “", "1.", "(a. ", "…", "a!!", "👍", "가" + "!" * 299]
)
def test_splitter_holds_a_bounded_number_of_characters(unit: str) -> None:
    stream, most = Sentences("ko-KR"), 0
    for char in unit * (20_000 // len(unit)):
        stream.push(char)
        most = max(most, len(stream._held))
    assert most < 4 * MAX_CHARS
