"""What an agent on Pipecat gets when a real node cannot speak, or has nothing to say."""

from __future__ import annotations

import pytest
from pipecat.frames.frames import LLMFullResponseEndFrame, TTSUpdateSettingsFrame
from pipecat.utils.errors import ErrorCategory

from orastream.client.async_client import Client
from orastream.integrations.pipecat import OrastreamTTSService
from orastream.integrations.pipecat_frames import CATEGORIES
from tests.integrations.pipecat_talk import RATE, WAV_HEADER, final, talk
from tests.support.processes import free_port
from tests.support.scenes import reference
from tests.support.services import Stack

pytestmark = [
    pytest.mark.integrations,
    pytest.mark.filterwarnings("default"),  # what the package and its libraries deprecate is not this project's
]

Settings = OrastreamTTSService.Settings


def test_categories_of_errors_are_those_of_the_package() -> None:
    assert {ErrorCategory(value).is_permanent for value in CATEGORIES.values() if value != "invalid_request"} == {False}
    assert ErrorCategory(CATEGORIES["invalid_request"]).is_permanent


async def test_an_unknown_voice_is_an_error_until_the_settings_change(client: Client) -> None:
    settings = Settings(voice="vioce", pronunciations={"안녕하세요": "반갑습니다"})
    tts = OrastreamTTSService(client=client, settings=settings)
    async with talk(tts, RATE) as it:
        await it.begin("안녕하세요.")
        await it.send(LLMFullResponseEndFrame())
        (error,) = await it.until_errors()
        assert error.error.startswith("invalid_request: ") and "vioce" in error.error
        assert error.category is ErrorCategory.INVALID_REQUEST and error.processor is tts
        await it.stopped(1)
        assert not tts.is_usable and it.audio() == b""
        await it.send(TTSUpdateSettingsFrame(delta=Settings(voice=None)))
        context = await it.say("안녕하세요.")
        assert len(it.errors) == 1 and it.audio(context) == (await reference("반갑습니다."))[WAV_HEADER:]


async def test_a_node_that_is_away_and_a_text_that_is_too_long_are_errors_of_one_reply(
    client: Client, node: Stack
) -> None:
    away = OrastreamTTSService(url=f"nats://127.0.0.1:{free_port()}", connection={"connect_timeout_s": 0.2})
    async with talk(away, RATE) as it:
        await it.say("안녕하세요.")
        error = (await it.until_errors())[0]
        assert error.error.startswith("internal: ") and error.category is ErrorCategory.CONNECTIVITY
        assert away.is_usable
    short = OrastreamTTSService(url=node.nats_server.url, connection={"max_text_chars": 10})
    async with talk(short, RATE) as it:
        await it.say("이 글은 열 글자보다 깁니다.")
        error = (await it.until_errors())[0]
        assert error.error.startswith("invalid_request: text: ") and error.category is ErrorCategory.APPLICATION
        assert it.audio(await it.say("하나 둘 셋 ", "넷 다섯.")) != b""
    assert [report.characters for report in await final(client, short, 2)] == [7, 5]


async def test_a_field_that_does_not_exist_is_named(client: Client) -> None:
    tts = OrastreamTTSService(client=client, settings=Settings(extra={"ttl_secs": 3}))
    async with talk(tts, RATE) as it:
        await it.say("안녕하세요.")
        error = (await it.until_errors())[0]
    assert error.error.startswith("invalid_request: ") and "'ttl_secs'; did you mean 'ttl_seconds'" in error.error
    with pytest.raises(TypeError, match="leave out url"):
        OrastreamTTSService(client=client, url="nats://127.0.0.1")


async def test_what_has_nothing_to_say_is_no_failure(client: Client) -> None:
    async with talk(OrastreamTTSService(client=client), RATE) as it:
        context = await it.say("🙂")
        assert set(it.audio(context)) <= {0} and it.errors == []
        assert it.words(await it.say("좋아요.")) == ["좋아요."]
