"""The examples of docs/reference/heard.md work. The test writes the records, as bridges do."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys

import pytest

from orastream.client.async_client import Client
from orastream.jetstream.api import JetStream, Stored
from tests.support.asyncapi import DOCS
from tests.support.heard import a_record, at_each_cancel, put_record, put_report
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

TEXT = "예약은 2025년에 했어요. 맞나요?"
HEARD, UNHEARD = "예약은 2025년에", "했어요. 맞나요?"


def examples() -> list[str]:
    """The examples in Python of the page: with the client, for `supersede`, and in plain nats-py."""
    page = (DOCS / "reference" / "heard.md").read_text()
    return re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


async def test_example_in_plain_nats_truncates_the_context(nats_server: NatsServer, js: JetStream) -> None:
    _, _, code = examples()
    assert TEXT in code
    await put_record(js, a_record("s1", "r1", 1, done=False))

    async def cut(cancel_seq: int) -> None:
        await put_record(js, a_record("s1", "other", 2, cancel_seq=cancel_seq))
        await put_record(js, a_record("s1", "r1", 1, heard_text=HEARD, unheard_text=UNHEARD, cancel_seq=cancel_seq))

    async with at_each_cancel(js, cut):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code.replace("nats://127.0.0.1:4222", nats_server.url)),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out.decode().strip()) == (0, str({"r1": HEARD}))


async def test_example_with_the_client_truncates_the_context(client: Client, js: JetStream) -> None:
    code, _, _ = examples()
    assert "wait=True" in code
    cut_report = {"transport": "websocket"}
    await put_report(js, "call-1", "r1", 1, "delivering", **cut_report)
    await put_record(js, a_record("call-1", "r1", 1, done=False))

    async def cut(cancel_seq: int) -> None:
        await put_report(js, "call-1", "r1", 1, "cancelled", **cut_report)
        await put_record(js, a_record("call-1", "r1", 1, heard_text=HEARD, unheard_text=UNHEARD, cancel_seq=cancel_seq))

    truncated: list[tuple[str, str]] = []

    class Context:
        def truncate(self, request_id: str, text: str) -> None:
            truncated.append((request_id, text))

    body = "\n".join(f"    {line}" for line in code.splitlines())
    names: dict[str, object] = {}
    exec(f"async def example(client, context):\n{body}", names)  # noqa: S102 - the code of our own page
    async with at_each_cancel(js, cut):
        await asyncio.wait_for(names["example"](client, Context()), 30)  # type: ignore[operator]
    assert truncated == [("r1", HEARD)]


async def test_example_with_supersede_truncates_the_context(client: Client, js: JetStream) -> None:
    _, code, _ = examples()
    await put_record(js, a_record("call-1", "r1", 1, done=False))
    truncated: list[tuple[str, str]] = []
    names: dict[str, object] = {"asyncio": asyncio, "contextlib": contextlib}
    body = "\n".join(f"    {line}" for line in code.splitlines())
    exec(f"async def example(client, context):\n{body}", names)  # noqa: S102 - the code of our own page

    class Context:
        def truncate(self, request_id: str, text: str) -> None:
            truncated.append((request_id, text))

    example = asyncio.create_task(names["example"](client, Context()))  # type: ignore[operator]

    async def request() -> Stored | None:
        return await js.last(js.names.sessions_stream, js.names.session_events("call-1"))

    async def stored() -> bool:
        return await request() is not None

    await until(stored, "the request that supersedes is stored")
    new = await request()
    assert new is not None
    cut = {"heard_text": HEARD, "unheard_text": UNHEARD, "cancel_seq": new.sequence}
    await put_record(js, a_record("call-1", "r1", 1, **cut))
    await asyncio.wait_for(example, 30)
    assert truncated == [("r1", HEARD)]
