"""OpenAI's speech API of the gateway, called by OpenAI's client and by plain HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import wave
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest

from tests.support.processes import until
from tests.support.scenes import TEXT, Scene, reference

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
async def api(scene: Scene) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key="none is asked for", base_url=f"{scene.stack.only('gateway').url}/v1", max_retries=0, timeout=30
    ) as client:
        yield client


def samples(wav: bytes) -> bytes:
    return wav[44:]


async def test_speech_is_the_audio_of_the_engine(api: openai.AsyncOpenAI) -> None:
    async with api.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="wav"
    ) as response:
        assert response.headers["content-type"] == "audio/wav"
        pieces = [piece async for piece in response.iter_bytes()]
    audio = b"".join(pieces)
    assert samples(audio) == samples(await reference(TEXT))
    with wave.open(io.BytesIO(audio)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)


async def test_speech_has_the_words_of_the_request(api: openai.AsyncOpenAI) -> None:
    """An extension of the API."""
    words = {"pronunciations": {"SQL": "시퀄"}}
    response = await api.audio.speech.create(
        model="tts-1", voice="alloy", input="SQL은 쉽다.", response_format="wav", extra_body=words
    )
    assert samples(response.content) == samples(await reference("시퀄은 쉽다."))
    with pytest.raises(openai.BadRequestError, match="pronunciations: SQL: the reading is empty"):
        wrong = {"pronunciations": {"SQL": ""}}
        await api.audio.speech.create(model="tts-1", voice="alloy", input="SQL", extra_body=wrong)


async def test_pcm_has_the_sample_rate_of_the_api(api: openai.AsyncOpenAI) -> None:
    """24 kHz as the API defines; the duration equals that of the engine's 22 050 Hz audio."""
    response = await api.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format="pcm")
    seconds = len(samples(await reference(TEXT))) / 2 / 22_050
    assert abs(len(response.content) / 2 / 24_000 - seconds) < 0.001


async def test_speech_is_streamed_as_events(api: openai.AsyncOpenAI) -> None:
    async with api.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="ko+f2", input="안녕하세요", response_format="wav", stream_format="sse"
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) async for line in response.iter_lines() if line.startswith("data: ")]
    *deltas, done = events
    assert done["type"] == "speech.audio.done" and set(done["usage"]) >= {"input_tokens", "total_tokens"}
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(event["audio"]) for event in deltas)[:4] == b"RIFF"


class SpeechEvent(openai.BaseModel):
    """An event as OpenAI documents it, without our extension."""

    type: str
    audio: str | None = None


async def test_events_have_the_words_of_the_input(api: openai.AsyncOpenAI) -> None:
    """The events are read by the streams of OpenAI's client, which knows no `words`."""
    text = "3명이 2025년에 왔어요. It was fine, wasn't it?"
    body = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "mp3", "stream_format": "sse"}
    stream: openai.AsyncStream[SpeechEvent] = await api.post(
        "/audio/speech", body=body, cast_to=SpeechEvent, stream=True, stream_cls=openai.AsyncStream[SpeechEvent]
    )
    events = [event async for event in stream]
    assert [event.type for event in events] == ["speech.audio.delta"] * (len(events) - 1) + ["speech.audio.done"]
    found = [(event.model_extra or {}).get("words") for event in events]
    assert None in found and [] not in found, "no words, no field"
    words = [word for some in found for word in some or ()]
    assert all(word["text"] == text[word["from"] : word["to"]] for word in words)
    assert {"2025년에", "왔어요", "wasn't"} <= {word["text"] for word in words}
    times = [time for word in words for time in (word["begin_ms"], word["end_ms"])]
    assert times == sorted(times)
    spoken = {at for word in words for at in range(word["from"], word["to"])}
    assert {at for at, char in enumerate(text) if char.isalnum()} <= spoken


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": "🙂"}, "input"),
        ({"input": "<think>안녕하세요</think>"}, "input"),
        ({"input": "<think>안녕하세요</think>", "stream_format": "sse"}, "input"),
        ({"voice": "nobody"}, "voice"),
        ({"model": "no-such-engine"}, "model"),
        ({"response_format": "ogg"}, "response_format"),
        ({"speed": 4.0}, "speed"),
        ({"stream_format": "fax"}, "stream_format"),
    ],
)
async def test_error_names_the_wrong_field(api: openai.AsyncOpenAI, changes: dict[str, Any], param: str) -> None:
    good = {"model": "tts-1", "voice": "alloy", "input": "안녕하세요", "response_format": "wav"}
    with pytest.raises(openai.BadRequestError) as refusal:
        await api.audio.speech.create(**{**good, **changes})
    assert refusal.value.param == param, refusal.value
    assert refusal.value.body is not None
    message = refusal.value.body["message"]  # type: ignore[index]
    assert message.startswith(f"{param}: "), "the message does not begin with the caller's name of the field"
    assert refusal.value.type == "invalid_request_error"


async def test_version_of_a_model_is_spoken(api: openai.AsyncOpenAI) -> None:
    """OpenAI names its versions by dates; programs are configured with them."""
    for model in ("gpt-4o-mini-tts-2025-12-15", "tts-1-1106"):
        spoken = await api.audio.speech.create(model=model, voice="alloy", input="네", response_format="wav")
        assert samples(spoken.content) == samples(await reference("네"))
        assert (await api.models.retrieve(model)).id == model
    with pytest.raises(openai.BadRequestError) as refusal:
        await api.audio.speech.create(model="espeak-1106", voice="alloy", input="네")
    assert refusal.value.param == "model"


async def test_unknown_path_and_method_are_errors_of_openai(api: openai.AsyncOpenAI) -> None:
    """A caller that asks for another part of the API reads the reason as its client shows it."""
    with pytest.raises(openai.NotFoundError) as unknown:
        await api.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "a"}])
    with pytest.raises(openai.APIStatusError) as wrong:
        await api.get("/audio/speech", cast_to=object)
    for refusal, status, code in ((unknown.value, 404, "not_found"), (wrong.value, 405, "method_not_allowed")):
        assert (refusal.status_code, refusal.code, refusal.type) == (status, code, "invalid_request_error")
        assert "POST /v1/audio/speech" in refusal.message
    assert wrong.value.response.headers["allow"] == "POST"


async def test_body_may_begin_with_a_byte_order_mark(scene: Scene) -> None:
    speech = json.dumps({"model": "tts-1", "input": "네", "response_format": "wav"}).encode("utf-8-sig")
    url = f"{scene.stack.only('gateway').url}/v1/audio/speech"
    async with aiohttp.ClientSession() as http, http.post(url, data=speech) as answer:
        assert answer.status == 200
        assert samples(await answer.read()) == samples(await reference("네"))


async def test_models_are_listed(api: openai.AsyncOpenAI) -> None:
    names = {model.id async for model in api.models.list()}
    assert "tts-1" in names
    assert (await api.models.retrieve("tts-1")).object == "model"
    with pytest.raises(openai.NotFoundError):
        await api.models.retrieve("gpt-99")


async def test_request_is_cancelled_when_its_caller_disconnects(slow_scene: Scene) -> None:
    """When the caller disconnects, the session is cancelled: the request ends, and its slot in synth is free."""
    scene = slow_scene
    (gateway,) = await scene.stack.start("gateway")
    seen: list[str] = []

    async def follow() -> None:
        async for report in scene.client.reports():
            if report.session_id.startswith("listen-"):
                seen.append(report.status)

    following = asyncio.create_task(follow())
    try:
        async with aiohttp.ClientSession() as http:
            speech = {"model": "tts-1", "input": TEXT, "response_format": "wav"}
            async with http.post(f"{gateway.url}/v1/audio/speech", json=speech) as answer:
                assert answer.status == 200
                assert (await answer.content.read(44))[:4] == b"RIFF"
                answer.close()

        async def ended() -> bool:
            return "cancelled" in seen

        await until(ended, "the report of the cancelled request", timeout_s=20)
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


async def test_api_requires_its_key(slow_scene: Scene) -> None:
    (gateway,) = await slow_scene.stack.start("gateway", GATEWAY_API_KEYS="secret")
    base = f"{gateway.url}/v1"
    async with openai.AsyncOpenAI(api_key="wrong", base_url=base, max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()
        with pytest.raises(openai.AuthenticationError):
            await stranger.audio.speech.create(model="tts-1", voice="alloy", input="x", response_format="wav")
    async with openai.AsyncOpenAI(api_key="secret", base_url=base, max_retries=0) as friend:
        spoken = await friend.audio.speech.create(model="tts-1", voice="alloy", input="네", response_format="wav")
        assert spoken.content[:4] == b"RIFF"
