"""A text stream with nothing to say needs no OraServer."""

from __future__ import annotations

import asyncio

import pytest

from orastream.client.async_client import Client
from orastream.jetstream.api import JetStream
from tests.support.inprocess import running_node
from tests.support.processes import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.mark.parametrize("protocol", ["v1", "auto"])
async def test_oraserver_may_be_away_while_an_llm_calls_tools(js: JetStream, protocol: str) -> None:
    """For longer than all tries to connect take. A request with audio fails meanwhile, as ever."""
    ids = {"session_id": "s", "phone_id": "p"}
    async with running_node(js.broker.url, f"http://127.0.0.1:{free_port()}", oraserver_protocol=protocol):
        client = Client(js.broker)
        async with client.utterance(**ids, request_id="tools") as u:
            await u.write("<tool_call>")
            await asyncio.sleep(8.0)
            report = await u.report()
            assert report is not None and not report.final
            await u.write("{}</tool_call>")
        report = await u.wait(20)
        assert (report.status, report.total_chunks, report.error) == ("delivered", 0, None)
        async with client.utterance(**ids, request_id="speech") as u:
            await u.write("네, 알겠습니다.")
        report = await u.wait(40)
        assert report.status == "failed" and report.error is not None
        assert report.error.code == "oraserver_unreachable"
