"""Compares `/openapi.json` with the gateway: schemathesis sends valid and invalid requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract import schemas
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.jetstream.api import JetStream
from orastream.jetstream.feed import Feed
from services.gateway.openai import request
from services.gateway.openai.schema import SpeechBody
from tests.support.ending import end
from tests.support.heard import a_record, put_record
from tests.support.names import NAMES
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CONFIG = Path(__file__).resolve().parents[4] / "openapi"
KEY = "key-1"
MAX_TEXT_CHARS = 120


@contextlib.asynccontextmanager
async def delivering(js: JetStream) -> AsyncIterator[None]:
    """Report each request as delivered at once, as a bridge would; those of transport `none` are left to synth."""
    changed = asyncio.Event()

    async def run() -> None:
        async with Feed(js, NAMES.sessions_stream, NAMES.session_request("*"), wake=changed.set) as feed:
            while True:
                changed.clear()
                while (message := feed.pop()) is not None:
                    stored = read_message(message, NAMES, max_text_chars=DEFAULT_MAX_TEXT_CHARS)
                    assert isinstance(stored, StoredRequest)
                    if stored.stated_transport != "none":
                        await end(js, stored, "delivered", transport="websocket")
                await changed.wait()

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def gateway(stack: Stack, js: JetStream, client: Client) -> AsyncIterator[str]:
    """Start a gateway that requires a key, and a synth; yields the gateway's URL."""
    common = {"TTS_MAX_TEXT_CHARS": MAX_TEXT_CHARS}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stack.start("gateway", GATEWAY_API_KEYS=KEY, GATEWAY_WAIT_SECONDS=20, **common))
        tasks.create_task(stack.start("synth", **common))
    accepted = await client.say("들립니다", session_id="heard", phone_id="p1", request_id="heard", transport="none")
    assert isinstance(accepted, Acceptance)
    assert (await client.wait("heard", "heard")).status == "delivered"
    await put_record(js, a_record("heard", "heard", accepted.request_seq))
    async with delivering(js):
        yield stack.only("gateway").url


def check_document(document: dict[str, Any]) -> None:
    """The document has the contract's schemas, and for each operation the key and a schema of each answer."""
    parts = document["components"]["schemas"]
    assert parts["SpeakRequest"] == schemas.request(MAX_TEXT_CHARS)
    assert (parts["Report"], parts["ReportError"]) == (schemas.report(), schemas.report_error())
    assert parts["Heard"] == schemas.heard()
    convert = document["paths"]["/api/convert-tts/"]["post"]["responses"]
    assert set(convert) == {
        "200",
        "202",
        "409",
        "410",
        "502",
        "504",
        "401",
        "403",
        "408",
        "413",
        "422",
        "429",
        "500",
        "503",
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            secured = path.startswith(("/api/", "/v1/"))
            assert ("security" in operation, "401" in operation["responses"]) == (secured, secured), path
            assert ("403" in operation["responses"]) == secured, path
            for status, answered in operation["responses"].items():
                assert ("content" in answered) == (status not in ("204", "304")), path
                assert all(content["schema"] for content in answered.get("content", {}).values()), path


async def test_gateway_answers_as_openapi_documents(gateway: str, stack: Stack, tmp_path: Path) -> None:
    """Checks statuses, headers, content types and bodies: invalid requests are refused, valid ones accepted."""
    _, body = await stack.only("gateway").get("/openapi.json")
    check_document(json.loads(body))
    command = ["-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    environment = os.environ | {"PYTHONPATH": str(CONFIG), "SCHEMATHESIS_HOOKS": "hooks", "NO_COLOR": "1"}
    report = tmp_path / "openapi.txt"
    with report.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            "--config-file",
            str(CONFIG / "schemathesis.toml"),
            "run",
            f"{gateway}/openapi.json",
            "-H",
            f"Authorization: Bearer {KEY}",
            "--exclude-path",
            "/api/events",  # this answer never ends; tests/integration/services/gateway/routes/test_live.py reads it
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=output,
        )
        try:
            code = await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    text = report.read_text()
    assert code == 0, text[-12_000:]


def test_read_speech_reads_exactly_the_documented_fields() -> None:
    """`read_speech` is written by hand, so this checks that it reads exactly the fields in the document."""
    whole = {"model": "tts-1", "input": "말", "voice": {"id": "ko"}, "response_format": "wav", "speed": 1.5}
    whole |= {"stream_format": "sse", "language": "ko", "pronunciations": {"SQL": "시퀄"}}
    assert set(whole) == set(SpeechBody.model_fields)
    read = request.read_speech(json.dumps(whole).encode())
    assert read.fields == {
        "text": "말",
        "format": "wav",
        "language": "ko",
        "engine": None,
        "voice": "ko",
        "speed": 1.5,
        "pronunciations": {"SQL": "시퀄"},
    }
    assert (read.media_type, read.stream_format) == ("audio/wav", "sse")
