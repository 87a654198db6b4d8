"""A caller of the Django TTS server, unchanged, at a node with GATEWAY_LEGACY=on.

It sends integers as ids and booleans as strings, as JSON or as a form, and takes every status but 200 for a failure.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from tests.support.processes import Logs, until
from tests.support.scenes import running_node
from tests.support.services import Stack
from tests.support.speech import sha256, spoken_file, utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TEXT = "주문 번호 7, 50% 할인 & 무료 배송입니다.\r\n감사합니다 + 안녕히 가세요."
PHONE = 1_012_345_678


@pytest.fixture(scope="module")
def legacy_node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    """A node with one process of each service."""
    folder = tmp_path_factory.mktemp("legacy-node")
    with running_node(folder, node_logs, replicas=1, gateway=True, GATEWAY_LEGACY="on") as stack:
        yield stack


class CallFailed(Exception):
    """What the old caller raises for an answer that is not 200."""


def old_call(url: str, form: str, fields: dict[str, Any], path: str = "/api/convert-tts/") -> dict[str, Any]:
    """Send the fields as `json`, `urlencoded` or `multipart`; returns the JSON of the answer."""
    with urllib3.PoolManager(retries=False, timeout=40) as http:
        if form == "json":
            answer = http.request("POST", url + path, json=fields)
        else:
            answer = http.request("POST", url + path, fields=fields, encode_multipart=form == "multipart")
    if answer.status != 200:
        raise CallFailed(f"{answer.status} {answer.data.decode()}")
    found: dict[str, Any] = answer.json()
    return found


def fields_of(form: str, **fields: Any) -> dict[str, Any]:
    """The fields with the types that the form can carry."""
    return fields if form == "json" else {name: str(value) for name, value in fields.items()}


@pytest.mark.parametrize("form", ["json", "urlencoded", "multipart"])
async def test_old_caller_is_served_in_each_of_its_modes(legacy_node: Stack, form: str) -> None:
    """Sync over WebSocket, fire and forget over WebSocket, and over HTTP: OraServer gets the audio of the text."""
    url = legacy_node.only("gateway").url
    session = {"json": 71, "urlencoded": 72, "multipart": 73}[form]

    async def call(request: int, **switches: str) -> dict[str, Any]:
        fields = fields_of(form, text=TEXT, sessionId=session, phoneId=PHONE, requestId=request, **switches)
        return await asyncio.to_thread(old_call, url, form, fields)

    report = await call(1, use_websocket="True", fire_and_forget="false")
    assert (report["status"], report["transport"], report["phoneId"]) == ("delivered", "websocket", str(PHONE))
    accepted = await call(2, use_websocket="true", fire_and_forget="1")
    assert accepted == {
        "requestId": "2",
        "sessionId": str(session),
        "requestSeq": accepted["requestSeq"],
        "status": "queued",
    }
    await call(3, use_websocket="False", fire_and_forget="on")
    expected = sha256(await spoken_file(TEXT))

    async def all_there() -> bool:
        received = await legacy_node.received(str(session))
        found = [utterance_of(received, request) for request in ("1", "2", "3")]
        return all(got is not None and got["complete"] for got in found)

    await until(all_there, "three utterances at OraServer", timeout_s=30)
    received = await legacy_node.received(str(session))
    for request in ("1", "2", "3"):
        got = utterance_of(received, request)
        assert got is not None and (got["sha256"], got["phoneId"]) == (expected, str(PHONE))


async def test_json_that_is_declared_as_a_form_is_served(legacy_node: Stack) -> None:
    """`curl -d` does so."""
    url = f"{legacy_node.only('gateway').url}/api/convert-tts"
    body = json.dumps({"text": "네.", "sessionId": "curl", "phoneId": PHONE, "fire_and_forget": "False"})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await asyncio.to_thread(urllib3.request, "POST", url, body=body, headers=headers, timeout=40)
    assert (answer.status, answer.json()["status"]) == (200, "delivered")


@pytest.mark.parametrize("form", ["json", "urlencoded", "multipart"])
async def test_error_names_the_field(legacy_node: Stack, form: str) -> None:
    url = legacy_node.only("gateway").url
    good = fields_of(form, text="네.", sessionId=1, phoneId=PHONE)
    for name, value in (("use_websocket", "perhaps"), ("phoneId", ""), ("text", "")):
        with pytest.raises(CallFailed, match=f'422 .*"field":"{name}"') as failed:
            await asyncio.to_thread(old_call, url, form, good | {name: value})
        assert "GATEWAY_LEGACY" not in str(failed.value)


async def test_strict_gateway_names_the_setting(legacy_node: Stack) -> None:
    """Off by default: the same calls are refused, store nothing, and say what makes them work."""
    strict = legacy_node.add("gateway", GATEWAY_LEGACY="")
    try:
        await strict.start()
        good = {"text": "네.", "sessionId": "strict", "phoneId": "1"}
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("phoneId", {"phoneId": PHONE}),
            ("sessionId", {"sessionId": 5}),
            ("requestId", {"requestId": 5}),
            ("use_websocket", {"use_websocket": "true"}),
            ("fire_and_forget", {"fire_and_forget": "0"}),
        ]
        for name, change in wrong:
            with pytest.raises(CallFailed, match=f'422 .*{name}: .*GATEWAY_LEGACY=on.*"field":"{name}"'):
                await asyncio.to_thread(old_call, strict.url, "json", good | change)
        for form in ("urlencoded", "multipart"):
            with pytest.raises(CallFailed, match="422 .*send a JSON object .*GATEWAY_LEGACY=on"):
                await asyncio.to_thread(old_call, strict.url, form, good)
        with pytest.raises(CallFailed, match="202 "):
            await asyncio.to_thread(old_call, strict.url, "json", good)
    finally:
        strict.kill()
        legacy_node["gateway"].remove(strict)


async def test_openapi_documents_what_old_callers_send(legacy_node: Stack) -> None:
    _, body = await legacy_node.only("gateway").get("/openapi.json")
    convert = json.loads(body)["paths"]["/api/convert-tts/"]["post"]
    assert "202" not in convert["responses"] and "200" in convert["responses"]
    assert set(convert["requestBody"]["content"]) == {
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    }
