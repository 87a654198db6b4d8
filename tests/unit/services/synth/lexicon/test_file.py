"""The lexicon's file: what it says, and for each mistake the line and the fix."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.lexicon.file import MAX_BYTES, LexiconFileError, read_lexicon
from services.synth.reading import EditedText
from services.synth.reading.lexicon import Lexicon, put_back

pytestmark = pytest.mark.unit

ENGINES = {"espeak", "vits"}
EXAMPLE = Path(__file__).resolve().parents[5] / "deploy/lexicon.example.yaml"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "lexicon.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def loaded(folder: Path, text: str | bytes, engine: str = "espeak") -> Lexicon:
    return read_lexicon(written(folder, text), engine, ENGINES)


def said(words: Lexicon, text: str, language: str = "ko") -> str:
    return put_back(*words.read(EditedText(text), language, rules=False)).text


def test_words_are_what_is_written_whatever_yaml_takes_them_for(tmp_path: Path) -> None:
    words = loaded(tmp_path, "ko:\n  NO: 노\n  24: 이십사\n  1e3: 천\n  on: yes\n  2024-01-01: 새해\n'*': {x: \"y\"}\n")
    assert said(words, "NO 24 1e3 on 2024-01-01 x") == "노 이십사 천 yes 새해 y"
    assert words.words == 6


def test_engine_has_its_own_reading_and_espeak_phonemes(tmp_path: Path) -> None:
    text = 'en:\n  Nguyen: {reading: Win, espeak: "[[w\'In]]", vits: Ween}\n'
    assert said(loaded(tmp_path, text), "Nguyen", "en") == "\ufdd0\ufdd0w'In\ufdd1\ufdd1"
    assert said(loaded(tmp_path, text, "vits"), "Nguyen", "en") == "Ween"
    assert said(read_lexicon(written(tmp_path, text), "other", {*ENGINES, "other"}), "Nguyen", "en") == "Win"


def test_example_of_the_repository() -> None:
    words = read_lexicon(EXAMPLE, "espeak", ENGINES)
    assert said(words, "SQL은 ㈜오라와 카카오T, wi-fi로") == "시퀄은 주식회사 오라와 카카오 티, 와이파이로"
    assert said(words, "SQLite sqlite") == "에스큐엘라이트 sqlite"


@pytest.mark.parametrize("text", ["", "# nothing\n", "ko:\n", "ko: {}\n", "ko:\n  # later\nen:\n"])
def test_empty_lexicon_has_no_words(tmp_path: Path, text: str) -> None:
    words = loaded(tmp_path, text)
    assert (words.words, words.digest) == (0, "")


def test_comments_and_layout_do_not_change_the_digest(tmp_path: Path) -> None:
    one = loaded(tmp_path, "# a\nko:\n  SQL: 시퀄\n  Redis: 레디스\n")
    assert one.digest == loaded(tmp_path, 'ko: {Redis: "레디스", "SQL": {reading: 시퀄}}').digest
    assert one.digest == loaded(tmp_path, "\ufeffko:\n  SQL: 시퀄\n  Redis: 레디스\n").digest
    assert one.digest != loaded(tmp_path, "ko:\n  SQL: 시퀄\n  Redis: 레디쓰\n").digest


WRONG = [
    ("ko:\n  SQL:\n", ":2: ko.SQL: the reading is empty; write the words"),
    ("ko:\n  SQL: ~\n", ":2: ko.SQL: the reading is empty"),
    ("ko:\n  SQL: '  '\n", ":2: ko.SQL: the reading is empty"),
    ("ko:\n  SQL: '!'\n", ":2: ko.SQL: the reading has nothing to say"),
    ("ko:\n  '': 시퀄\n", ":2: ko.(empty): the word is empty"),
    ("ko:\n  SQL: 시퀄\n  SQL: 에스\n", ":3: ko.SQL: the word is there twice"),
    ("ko:\n  SQL: 시퀄\n  ' SQL ': 에스\n", ":3: ko. SQL : the word is there twice"),
    ("ko: {a: 에이}\nKO: {b: 비}\n", ":2: KO: the language is there twice"),
    ("ko:\n  SQL: [시퀄]\n", ":2: ko.SQL: is a list"),
    ("ko:\n  [SQL]: 시퀄\n", ":2: ko: a word is a list"),
    ("ko:\n  SQL: {case: exact}\n", ":2: ko.SQL: the reading is missing"),
    ("ko:\n  SQL:\n    reading: 시퀄\n    case: any\n", ":4: ko.SQL: case must be exact"),
    (
        "ko:\n  SQL:\n    reading: 시퀄\n    readings: 에스\n",
        ":4: ko.SQL: there is no readings; an entry has reading, case",
    ),
    ("ko:\n  SQL:\n    reading: 시퀄\n    festival: 에스\n", ":4: ko.SQL: there is no festival"),
    ("ko:\n  SQL:\n    reading: 시퀄\n    reading: 에스\n", ":4: ko.SQL: reading is there twice"),
    ("ko:\n  SQL: {reading: {a: b}}\n", ":2: ko.SQL.reading: is a list or a mapping"),
    ("ko:\n  SQL: '[[sikwl]]'\n", ":2: ko.SQL: phonemes are for one engine; put them under"),
    ("ko:\n  SQL: {reading: 시퀄, vits: '[[a]]'}\n", ":2: ko.SQL.vits: only espeak takes phonemes"),
    ("ko:\n  SQL: {reading: 시퀄, espeak: 'a [[b]]'}\n", ":2: ko.SQL.espeak: phonemes stand alone"),
    (f"ko:\n  SQL: {'가' * 201}\n", ":2: ko.SQL: the reading has 201 characters, at most 200"),
    (f"ko:\n  {'a' * 101}: 가\n", f":2: ko.{'a' * 30}…: the word has 101 characters, at most 100"),
    ('ko:\n  "S\\nQL": 시퀄\n', ":2: ko.S�QL: the word has a control character"),
    ('ko:\n  SQL: "시\\0퀄"\n', ":2: ko.SQL: the reading has a control character"),
    ("kr:\n  SQL: 시퀄\n", ":1: kr: is the code of a country; write the language: ko"),
    ("korean:\n  SQL: 시퀄\n", ":1: korean: is no language; write a tag such as ko"),
    ("xx:\n  SQL: 시퀄\n", ":1: xx: is an unknown language"),
    ("ko: SQL\n", ":1: ko: has no words"),
    ("SQL: 시퀄\n", ':1: SQL: has no words; write a language, such as "ko:", and below it'),
    ("카카오T: 카카오 티\n", ":1: 카카오T: has no words; write a language"),
    ("- SQL: 시퀄\n", ":1: the file has no languages"),
    ("ko:\n- SQL: 시퀄\n", ":2: ko: has no words; write one in a line"),
    ("en:\n  SQL: {reading: x, espeak: [[w]]}\n", ":2: en.SQL.espeak: is a list or a mapping; write text, in quotes"),
    ("en:\n  SQL: [[w]]\n", ":2: en.SQL: is a list; write one reading, in quotes"),
    ("- SQL\n", ":1: the file has no languages"),
    ("SQL\n", ":1: the file has no languages"),
    ("ko:\n  SQL: 시퀄\n  @x: y\n", ":3: it is not YAML: "),
    ("ko:\n\tSQL: 시퀄\n", ":2: it is not YAML: "),
    ("ko: *nothing\n", ":1: it is not YAML: "),
    ("a: &a {ko: *a}\n", ":1: a: is no language"),
    ("ko: &a {SQL: *a}\n", ":1: ko.SQL: "),
    ("[" * 3_000, "it is not YAML"),
    (b"ko:\n  SQL: \xff\n", ":2: it is not UTF-8"),
    (b"ko:\n" + b" " * MAX_BYTES, "it has more than 1048576 bytes"),
    ("ko:\n" + "".join(f"  w{n}: x\n" for n in range(10_001)), "ko: the lexicon has more than 10000 words"),
    (
        "ko: &a\n" + "".join(f"  w{n}: x\n" for n in range(5_000)) + "".join(f"l{n}: *a\n" for n in range(3_000)),
        "with its aliases it has more than 10000 words",
    ),
]


@pytest.mark.parametrize(("text", "problem"), WRONG, ids=range(len(WRONG)))
def test_mistake_is_named_with_its_line_and_the_fix(tmp_path: Path, text: str | bytes, problem: str) -> None:
    with pytest.raises(LexiconFileError) as caught:
        loaded(tmp_path, text)
    message = str(caught.value)
    assert message.startswith("lexicon.yaml:") and problem in message and len(message) < 300
    assert ";" in message or "is a list" in message, "it names the fix"


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        LexiconFileError, match=r"^none.yaml: there is no such file in .*; correct the path, or write the file"
    ):
        read_lexicon(tmp_path / "none.yaml", "espeak", ENGINES)
    with pytest.raises(LexiconFileError, match="there is no such file"):
        read_lexicon(tmp_path, "espeak", ENGINES)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LexiconFileError, match="there is no such file"):  # to open it would wait for a writer
        read_lexicon(tmp_path / "pipe", "espeak", ENGINES)


def test_many_languages_take_linear_time(tmp_path: Path) -> None:
    began = time.process_time()
    assert loaded(tmp_path, "".join(f"abc-{number}:\n" for number in range(50_000))).words == 0
    assert time.process_time() - began < 30, "it was 50 000² comparisons"


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60)))
def test_any_file_is_a_lexicon_or_a_mistake(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    try:
        assert loaded(tmp_path_factory.mktemp("any"), data).words == 0
    except LexiconFileError as exc:
        assert str(exc).startswith("lexicon.yaml:")
