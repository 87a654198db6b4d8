"""Merging the answers of several synths to `tts.voices`."""

from __future__ import annotations

import pytest

from orastream.cli.commands.voices import speaks
from orastream.client.voices import Voice, encode_answer, encode_answers, merge_answers
from orastream.contract import codec
from tests.support.asyncapi import NODE, document, problems

pytestmark = pytest.mark.unit


def voice(name: str, engine: str, version: str = "1") -> Voice:
    return Voice(name, "ko-KR", 22_050, engine, version)


def answer(*voices: Voice) -> bytes:
    return encode_answer(voices, engine=voices[0].engine, version=voices[0].version)


def test_voices_are_the_same_after_encoding_and_decoding() -> None:
    voices = [voice("b", "e"), Voice("a", "en-US", 8_000, "e", "1")]
    assert merge_answers([answer(*voices)]) == voices, (
        "the order of an engine's voices changed; its first voice is the default"
    )
    assert voices[1].to_map() == {
        "name": "a",
        "language": "en-US",
        "sampleRate": 8_000,
        "engine": "e",
        "version": "1",
    }


def test_answers_of_several_engines_are_one_for_each_version() -> None:
    voices = [voice("v", "one", "1"), voice("w", "one", "1"), voice("v", "one", "2"), voice("v", "two")]
    answers = encode_answers(voices)
    assert [(one["engine"], one["version"]) for one in map(codec.decode, answers)] == [
        ("one", "1"),
        ("one", "2"),
        ("two", "1"),
    ]
    assert merge_answers(answers) == voices
    assert encode_answers([]) == []


def test_answer_matches_the_documented_schema() -> None:
    assert problems(NODE, "Voices", codec.decode(answer(voice("b", "e")))) == []
    (example,) = document(NODE)["components"]["messages"]["Voices"]["examples"]
    read = merge_answers([codec.encode(example["payload"], "json")])
    assert [(v.engine, v.name) for v in read] == [("espeak", v["name"]) for v in example["payload"]["voices"]] != []


def test_merge_contains_each_voice_once_sorted_by_engine_and_version() -> None:
    answers = [
        answer(voice("v", "two")),
        answer(voice("v", "one", "2"), voice("w", "one", "2")),
        answer(voice("v", "two")),
        answer(voice("v", "one", "1")),
        answer(voice("w", "two"), voice("v", "two")),
    ]
    merged = [(v.engine, v.version, v.name) for v in merge_answers(answers)]
    assert merged == [("one", "1", "v"), ("one", "2", "v"), ("one", "2", "w"), ("two", "1", "v"), ("two", "1", "w")]
    assert merge_answers([]) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"engine":"x"}',
        b'{"engine":"x","version":"1","voices":[{"name":1,"language":"ko","sampleRate":8000}]}',
        b'{"engine":"x","version":"1","voices":[{"name":"a","language":"ko","sampleRate":"8000"}]}',
    ],
)
def test_merge_leaves_out_an_answer_that_cannot_be_decoded(body: bytes) -> None:
    assert merge_answers([body, answer(voice("v", "e"))]) == [voice("v", "e")]


def test_merge_ignores_fields_of_a_later_version() -> None:
    body = codec.decode(answer(voice("v", "e")))
    body["more"] = 1
    body["voices"][0]["gender"] = "f"
    assert merge_answers([codec.encode(body, "msgpack")]) == [voice("v", "e")]


@pytest.mark.parametrize(
    ("language", "wanted", "does"),
    [("ko", "ko", True), ("ko-KR", "ko", True), ("en-US", "EN-us", True), ("ko", "ko-KR", False), ("kok", "ko", False)],
)
def test_speaks_compares_language_tags(language: str, wanted: str, does: bool) -> None:
    assert speaks(language, wanted) is does
