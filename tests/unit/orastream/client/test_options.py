"""Arguments of `say` and `utterance`: either spelling, not both at once, and no unknown names."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from orastream.client.async_client import Client
from orastream.client.blocking import BlockingClient
from orastream.client.options import SayOptions, UtteranceOptions, to_wire
from orastream.contract.audio import Format
from orastream.contract.messages import SpeakRequest, parse_request

pytestmark = pytest.mark.unit

IDS = {"session_id": "s", "phone_id": "p"}
NOWHERE = "nats://127.0.0.1:1"


def test_to_wire_accepts_both_spellings_of_a_field() -> None:
    wire = {"ttlSeconds": 10, "sampleRate": 16_000, "voice": "ko", "replyTo": "_INBOX.x", "use_websocket": True}
    python = {"ttl_seconds": 10, "sample_rate": 16_000, "voice": "ko", "reply_to": "_INBOX.x", "use_websocket": True}
    assert to_wire("say", wire) == to_wire("say", python) == wire
    for name, field in SpeakRequest.model_fields.items():
        if name in ("text_stream", "idle_seconds"):
            continue
        assert to_wire("say", {name: 1}) == {field.alias or name: 1} == to_wire("say", {field.alias or name: 1})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("voise", "did you mean 'voice'?"),
        ("ttl_second", "did you mean 'ttl_seconds'?"),
        ("ttlSecond", "did you mean 'ttlSeconds'?"),
        ("samplerate", "did you mean 'sample_rate'?"),
        ("sample_rate_hz", "did you mean 'sample_rate'?"),
        ("xyz", "fields are engine, "),
    ],
)
def test_to_wire_refuses_an_unknown_name(name: str, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        to_wire("say", {name: 1})
    assert f"say() got an unexpected keyword argument {name!r}" in str(caught.value) and message in str(caught.value)


@pytest.mark.parametrize("name", ["text_stream", "textStream", "idle_seconds", "idleSeconds"])
async def test_say_refuses_fields_of_a_text_that_is_still_written(name: str) -> None:
    """Nobody would write the rest: the session would wait for it until the idle timeout."""
    message = rf"^say\(\) takes no {name}; use client.utterance\(\)"
    with pytest.raises(TypeError, match=message):
        await Client(NOWHERE).say("hello", **IDS, **{name: True})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=message):
        BlockingClient(NOWHERE).say("hello", **IDS, **{name: True})
    if name.startswith("idle"):
        assert to_wire("utterance", {name: 5}) == {"idleSeconds": 5}


def test_say_does_not_suggest_a_field_that_it_refuses() -> None:
    with pytest.raises(TypeError) as caught:
        to_wire("say", {"idle_second": 1})
    assert "idle_seconds" not in str(caught.value)


@pytest.mark.parametrize("options", [{"ttl_seconds": 1, "ttlSeconds": 1}, {"sessionId": "other"}])
def test_to_wire_refuses_both_spellings_of_a_field_at_once(options: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="which are the same field"):
        to_wire("say", options, given=("session_id",))


async def test_clients_refuse_wrong_options_before_they_connect() -> None:
    """No server listens at this address, so a connection attempt would raise another error than TypeError."""
    client, blocking = Client(NOWHERE), BlockingClient(NOWHERE)
    for wrong in ({"voise": "ko"}, {"sessionId": "other"}, {"ttl_seconds": 1, "ttlSeconds": 2}):
        with pytest.raises(TypeError):
            await client.say("hello", **IDS, **wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            client.utterance(**IDS, **wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            blocking.say("hello", **IDS, **wrong)
        with pytest.raises(TypeError):
            blocking.utterance([], **IDS, **wrong)
    with pytest.raises(TypeError, match="'request_id' and 'requestId'"):
        await client.say("hello", **IDS, request_id="r", requestId="r")
    with pytest.raises(TypeError, match="'text_stream' and 'textStream'"):
        client.utterance(**IDS, textStream=False)


def test_each_option_may_be_none_which_means_absent() -> None:
    fields = {"text": "a", "sessionId": "s", "phoneId": "p"}
    options = dict.fromkeys(get_type_hints(UtteranceOptions))
    for name in options:
        wire = to_wire("utterance", {name: None})
        assert parse_request({**fields, **wire}) == parse_request(fields)


def test_the_types_of_the_options_are_those_of_the_fields_or_none_in_both_spellings() -> None:
    """A new field of a request needs a line in SayOptions, or type checkers refuse it."""
    own = {"text", "session_id", "phone_id", "fire_and_forget", "text_stream"}  # arguments of the calls, or of neither
    hints = get_type_hints(SpeakRequest)
    expected: dict[str, object] = {}
    for name, field in SpeakRequest.model_fields.items():
        if name not in own:
            absent_too = hints[name] | None  # None means absent
            expected |= {name: absent_too, field.alias or name: absent_too}
    expected["format"] = Format | None  # the field itself is checked at run time
    found = get_type_hints(UtteranceOptions)
    assert found.keys() == expected.keys()
    assert get_type_hints(SayOptions).keys() == expected.keys() - {"idle_seconds", "idleSeconds"}
    found.pop("pronunciations"), expected.pop("pronunciations")  # any Mapping, of which the field makes a dict
    assert found == expected
