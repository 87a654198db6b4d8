"""Merging the answers of several synths to `tts.voices`."""

from __future__ import annotations

import pytest

from orastream.cli.commands.voices import speaks
from orastream.client.voices import Voice, heard, told
from orastream.contract import codec
from tests.support.asyncapi import NODE, document, problems

pytestmark = pytest.mark.unit


def voice(name: str, engine: str, version: str = "1") -> Voice:
    return Voice(name, "ko-KR", 22_050, engine, version)


def answer(*voices: Voice) -> bytes:
    return told(voices, engine=voices[0].engine, version=voices[0].version)


def test_there_and_back() -> None:
    voices = [voice("b", "e"), Voice("a", "en-US", 8_000, "e", "1")]
    assert heard([answer(*voices)]) == voices, "the engine's order is kept: its first voice is the default"
    assert voices[1].to_map() == {
        "name": "a",
        "language": "en-US",
        "sampleRate": 8_000,
        "engine": "e",
        "version": "1",
    }


def test_an_answer_is_as_documented() -> None:
    assert problems(NODE, "Voices", codec.decode(answer(voice("b", "e")))) == []
    (example,) = document(NODE)["components"]["messages"]["Voices"]["examples"]
    read = heard([codec.encode(example["payload"], "json")])
    assert [(v.engine, v.name) for v in read] == [("espeak", v["name"]) for v in example["payload"]["voices"]] != []


def test_each_once_by_engine_and_version() -> None:
    answers = [
        answer(voice("v", "two")),
        answer(voice("v", "one", "2"), voice("w", "one", "2")),
        answer(voice("v", "two")),
        answer(voice("v", "one", "1")),
        answer(voice("w", "two"), voice("v", "two")),
    ]
    merged = [(v.engine, v.version, v.name) for v in heard(answers)]
    assert merged == [("one", "1", "v"), ("one", "2", "v"), ("one", "2", "w"), ("two", "1", "v"), ("two", "1", "w")]
    assert heard([]) == []


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
def test_an_answer_that_cannot_be_read_is_left_out(body: bytes) -> None:
    assert heard([body, answer(voice("v", "e"))]) == [voice("v", "e")]


def test_what_a_later_version_adds_is_ignored() -> None:
    body = codec.decode(answer(voice("v", "e")))
    body["more"] = 1
    body["voices"][0]["gender"] = "f"
    assert heard([codec.encode(body, "msgpack")]) == [voice("v", "e")]


@pytest.mark.parametrize(
    ("language", "wanted", "does"),
    [("ko", "ko", True), ("ko-KR", "ko", True), ("en-US", "EN-us", True), ("ko", "ko-KR", False), ("kok", "ko", False)],
)
def test_a_voice_of_a_language(language: str, wanted: str, does: bool) -> None:
    assert speaks(language, wanted) is does
