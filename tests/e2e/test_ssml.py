"""SSML and numbers through the whole node: the audio in OraServer, and the errors of malformed SSML."""

from __future__ import annotations

import json

import aiohttp
import nats
import pytest

from orastream.contract import subjects
from orastream.contract.errors import InvalidRequest
from orastream.contract.messages import Report
from tests.support.scenes import Scene, reference
from tests.support.speech import sha256, utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PAUSE_S = 0.75
PLAIN = "<speak>하나입니다. 둘입니다.</speak>"
PAUSED = "<speak>하나입니다. <break time='750ms'/>둘입니다.</speak>"
MALFORMED = "<speak>비밀<p></speak>"
PROBLEM = "text: is no SSML at line 1, column 15: mismatched tag"


async def deliver(scene: Scene, name: str, text: str, *, ssml: bool) -> Report:
    """Request the text and return the report. It must be delivered, and OraServer must have the unchanged text."""
    report = await scene.client.say(
        text, session_id=scene.name, phone_id="p1", request_id=scene.id(name), fire_and_forget=False, ssml=ssml
    )
    assert isinstance(report, Report) and report.status == "delivered", report
    return report


async def test_break_makes_the_audio_longer_by_its_pause(scene: Scene) -> None:
    plain = await deliver(scene, "plain", PLAIN, ssml=True)
    paused = await deliver(scene, "paused", PAUSED, ssml=True)
    assert paused.audio_seconds - plain.audio_seconds == pytest.approx(PAUSE_S, abs=0.001)
    got = utterance_of(await scene.stack.received(), scene.id("plain"))
    assert got is not None and got["violations"] == []
    assert got["sha256"] == sha256(await reference("하나입니다. 둘입니다."))
    shown = utterance_of(await scene.stack.received(), scene.id("paused"))
    assert shown is not None and shown["text"] == PAUSED, "metadata.text is not the text of the request"


async def test_numbers_are_spoken_in_words(scene: Scene) -> None:
    for name, text in (("decimal", "3.14입니다."), ("words", "삼 점 일사입니다.")):
        await deliver(scene, name, text, ssml=False)
    received = await scene.stack.received()
    files = [utterance_of(received, scene.id(name)) for name in ("decimal", "words")]
    assert files[0] is not None and files[1] is not None and files[0]["sha256"] == files[1]["sha256"]


async def test_markup_is_spoken_as_text_without_the_field_ssml(scene: Scene) -> None:
    await deliver(scene, "plain", MALFORMED, ssml=False)


async def test_malformed_ssml_is_refused_by_client_gateway_and_synth(scene: Scene) -> None:
    """Client and gateway refuse it before it is stored; a direct publish gets a failed final report."""
    with pytest.raises(InvalidRequest, match=PROBLEM):
        await scene.client.say(MALFORMED, session_id=scene.name, phone_id="p1", ssml=True)

    body = {"text": MALFORMED, "sessionId": scene.name, "phoneId": "p1", "requestId": scene.id("r"), "ssml": True}
    gateway = scene.stack["gateway"][0].url
    async with aiohttp.ClientSession() as http, http.post(f"{gateway}/api/convert-tts/", json=body) as answer:
        assert answer.status == 422
        error = (await answer.json())["error"]
        assert (error["code"], error["field"]) == ("invalid_request", "text") and PROBLEM in error["message"]

    nc = await nats.connect(scene.stack.nats_server.url)
    reply = json.loads((await nc.request("tts.speak", json.dumps(body).encode(), timeout=20)).data)
    assert reply["error"]["code"] == "invalid_request" and PROBLEM in reply["error"]["message"]
    assert await scene.client.report(scene.name, scene.id("r")) is None, "the refused request was stored"
    await nc.request(f"tts.request.{subjects.token(scene.name)}", json.dumps(body).encode(), timeout=20)
    await nc.close()

    report = await scene.client.wait(scene.name, scene.id("r"), 20)
    assert report.status == "failed" and report.error is not None
    assert (report.error.code, report.error.message, report.error.retryable) == ("invalid_request", PROBLEM, False)
