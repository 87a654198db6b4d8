"""docs/asyncapi*.yaml are valid for AsyncAPI's parser, and agree with what a node sends on NATS and to OraServer."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from nats.aio.msg import Msg

from orastream.client.async_client import Client
from orastream.contract import codec
from orastream.jetstream.api import JetStream
from tests.support.asyncapi import NODE, ORASERVER, document, problems
from tests.support.inprocess import running_node
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until
from tests.support.small_oraserver import SmallOraServer

pytestmark = pytest.mark.integration

TEXT = "안녕하세요. This is a sentence, and so is the one before."
WAIT_S = 30.0

# ---- AsyncAPI's parser


@pytest.mark.timeout(300)  # npm installs it the first time
def test_documents_are_valid_for_the_parser_of_asyncapi(asyncapi_tools: Path) -> None:
    check = ["node", "check.js", str(NODE), str(ORASERVER)]
    done = subprocess.run(check, cwd=asyncapi_tools, capture_output=True, text=True, check=True)
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [verdict["problems"] for verdict in verdicts] == [[], []]
    for verdict, path in zip(verdicts, (NODE, ORASERVER), strict=True):
        assert verdict["addresses"] == [channel["address"] for channel in document(path)["channels"].values()]
        assert verdict["operations"] == list(document(path)["operations"])


# ---- what a running node sends


class RecordingOraServer:
    """An OraServer that records what it receives."""

    def __init__(self) -> None:
        self.handshakes: list[dict[str, str]] = []
        self.frames: list[dict[str, Any]] = []
        self.posts: list[dict[str, Any]] = []
        self.refuses = False
        self.url = ""

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        if self.refuses:
            raise web.HTTPForbidden
        self.handshakes.append({name.lower(): value for name, value in request.headers.items()})
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            assert message.type is WSMsgType.TEXT
            self.frames.append(json.loads(message.data))
        return socket

    async def post(self, request: web.Request) -> web.Response:
        self.posts.append(await request.json())
        return web.Response(status=204)


@pytest.fixture
async def oraserver() -> AsyncIterator[RecordingOraServer]:
    oraserver = RecordingOraServer()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_get("/ws/tts", oraserver.websocket)
    app.router.add_post("/api/tts", oraserver.post)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    oraserver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield oraserver
    await runner.cleanup()


class Documented:
    """The channels of the document, found by subject."""

    def __init__(self) -> None:
        doc = document(NODE)
        self._channels = {
            name: re.compile(re.sub(r"\\{\w+\\}", "[A-Za-z0-9_~-]+", re.escape(channel["address"])))
            for name, channel in doc["channels"].items()
            if channel["address"] is not None
        }
        self._doc = doc
        self.seen: dict[str, int] = {}

    def channel(self, subject: str) -> str:
        """Return the channel of a subject. Fails unless there is exactly one."""
        found = [name for name, pattern in self._channels.items() if pattern.fullmatch(subject)]
        assert len(found) == 1, f"{subject} is on no channel of docs/asyncapi.yaml: {found}"
        return found[0]

    def check(self, channel: str, value: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        """Check that a schema of the channel's messages accepts the message and its headers."""
        refs = [message["$ref"] for message in self._doc["channels"][channel]["messages"].values()]
        fitting = []
        for name in (ref.rpartition("/")[2] for ref in refs):
            message = self._doc["components"]["messages"][name]
            wrong = problems(NODE, message["payload"]["$ref"].rpartition("/")[2], value)
            if "headers" in message:
                wrong += problems(NODE, message["headers"]["$ref"].rpartition("/")[2], headers or {})
            if not wrong:
                fitting.insert(0 if "headers" in message else len(fitting), name)  # one with headers goes first
            self._last = wrong
        assert fitting, f"{channel}: no message of docs/asyncapi.yaml is like {value}, headers {headers}: {self._last}"
        self.seen[f"{channel}/{fitting[0]}"] = self.seen.get(f"{channel}/{fitting[0]}", 0) + 1


def plain(data: bytes) -> dict[str, Any]:
    value = codec.decode(data)
    if isinstance(value.get("audio"), bytes):
        value["audio"] = base64.b64encode(value["audio"]).decode()  # JSON Schema has no type for bytes
    return value


async def test_node_sends_only_documented_messages(
    nats_server: NatsServer, js: JetStream, client: Client, oraserver: RecordingOraServer
) -> None:
    """Requests in both encodings, with every transport and outcome: each message is documented for its channel."""
    documented, live = Documented(), []
    async with (
        running_node(
            nats_server.url,
            oraserver.url,
            ["synth", "ws_bridge", "http_bridge", "gateway"],
            gateway_wait_seconds=WAIT_S,
        ),
        nats_server.connect() as connection,
    ):

        async def on_message(message: Msg) -> None:
            live.append(message)

        for subject in ("tts.report.>", "tts.audio.>", "tts.reply.>", "tts.load", "tts.heard.>", "tts.progress.>"):
            await connection.subscribe(subject, cb=on_message)
        await connection.flush()

        async def send_request(
            subject: str, fields: dict[str, Any] | bytes, encoding: Any = "json", **headers: str
        ) -> Msg:
            data = fields if isinstance(fields, bytes) else codec.encode(fields, encoding)
            if isinstance(fields, dict) and documented.channel(subject) != "cancel":
                documented.check(documented.channel(subject), fields, headers)
            answer: Msg = await connection.request(subject, data, timeout=WAIT_S, headers=headers or None)
            documented.check(
                "outcome" if subject == "tts.speak" else "ack", codec.decode(answer.data), dict(answer.headers or {})
            )
            return answer

        async def final(session: str, request: str) -> str:
            return (await client.wait(session, request, WAIT_S)).status

        base = {"text": TEXT, "sessionId": "s 1", "phoneId": "전화 1"}
        session = "tts.request.~cyAx"
        await send_request(session, base | {"requestId": "ws", "transport": "websocket", "replyTo": "tts.reply.test.1"})
        twice = await send_request(session, base | {"requestId": "packed"}, "msgpack", **{"Nats-Msg-Id": "s.packed"})
        again = await send_request(session, base | {"requestId": "packed"}, "msgpack", **{"Nats-Msg-Id": "s.packed"})
        assert json.loads(again.data) == {**json.loads(twice.data), "duplicate": True}
        await send_request(session, base | {"requestId": "post", "transport": "http", "format": "opus"})
        await send_request(session, base | {"requestId": "none", "transport": "none", "format": "pcm16"})
        await send_request(session, base | {"requestId": "bad", "voice": "no-such-voice"})
        await send_request(session, b"no map")
        for request, status in (("ws", "delivered"), ("packed", "delivered"), ("post", "delivered"), ("bad", "failed")):
            assert await final("s 1", request) == status, request
        assert await final("s 1", "none") == "delivered"

        async def followed() -> bool:
            return any(message.subject.startswith("tts.progress.") for message in live)

        await until(followed, "the progress of what plays")  # the first message comes 0.3 s after the first audio
        await send_request(session, base | {"text": None, "requestId": "pieces", "textStream": True})
        for piece in (
            {"index": 0, "text": "안녕하세요. 오늘은 "},
            {"index": 1, "text": "맑습니다."},
            {"index": 2, "end": True},
        ):
            await send_request("tts.text.~cyAx.pieces", piece)
        assert await final("s 1", "pieces") == "delivered"
        voices = await connection.request("tts.voices", b"", timeout=WAIT_S)
        documented.check("engines", json.loads(voices.data))
        await send_request("tts.cancel.~cyAx", {"requestId": "ws"})
        await send_request("tts.cancel.~cyAx", b"")
        oraserver.refuses = True
        assert codec.decode(
            (await send_request("tts.speak", base | {"sessionId": "other", "fire_and_forget": False})).data
        )["error"]["code"] == ("oraserver_refused")
        oraserver.refuses = False
        await send_request("tts.speak", base | {"fire_and_forget": True, "requestId": "spoken"}, "msgpack")
        assert await final("s 1", "spoken") == "delivered"
        refused = await connection.request("tts.speak", b'{"text": 1}', timeout=WAIT_S)
        documented.check("outcome", codec.decode(refused.data), dict(refused.headers or {}))
        assert documented.seen["outcome/Refusal"] == 1

        # The stream is full and refuses the request itself.
        await js.api("STREAM.UPDATE." + NAMES.sessions_stream, await _narrow(js))
        full = await connection.request("tts.request.full", codec.encode(base | {"sessionId": "full"}, "json"))
        documented.check("ack", json.loads(full.data))
        assert json.loads(full.data)["error"]["err_code"]
        await connection.flush()

    for message in live:
        channel = "replyTo" if message.subject.startswith("tts.reply.") else documented.channel(message.subject)
        documented.check(channel, plain(message.data), dict(message.headers or {}))
    assert documented.seen.keys() - {"audio/AudioWaiting"} == {
        "text/TextPiece",
        "engines/Voices",
        "load/Load",
        "request/Request",
        "speak/Request",
        "ack/PublishAck",
        "outcome/Acceptance",
        "outcome/FinalReport",
        "outcome/Refusal",
        "report/Report",
        "heard/Heard",
        "progress/Progress",
        "replyTo/FinalReport",
        "audio/AudioStart",
        "audio/AudioChunk",
        "audio/AudioEnd",
    }

    schema_of = {"init": "Init", "chunk": "Chunk", "complete": "Complete"}
    kinds = ["init" if "type" in frame else "complete" if "status" in frame else "chunk" for frame in oraserver.frames]
    for kind, frame in zip(kinds, oraserver.frames, strict=True):
        assert problems(ORASERVER, schema_of[kind], frame) == []
    assert set(kinds) == set(schema_of) and len(oraserver.posts) == 1
    assert problems(ORASERVER, "Post", oraserver.posts[0]) == []
    required_headers = document(ORASERVER)["channels"]["speech"]["bindings"]["ws"]["headers"]["required"]
    assert all(set(required_headers) <= handshake.keys() for handshake in oraserver.handshakes)


async def test_ws_bridge_sends_only_documented_frames_of_protocol_v2(nats_server: NatsServer, client: Client) -> None:
    names = [ref["$ref"].rpartition("/")[2] for ref in document(ORASERVER)["operations"]["takeStreams"]["messages"]]
    messages = document(ORASERVER)["channels"]["streams"]["messages"]
    schemas = [messages[name]["$ref"].rpartition("/")[2] for name in names]
    of_type = {document(ORASERVER)["components"]["messages"][name]["name"]: name for name in schemas}
    async with SmallOraServer(("wav", "opus")).running() as oraserver:
        async with running_node(nats_server.url, oraserver.url, ["synth", "ws_bridge"], oraserver_protocol="v2"):
            await client.say(TEXT, session_id="s", phone_id="p", request_id="r", use_websocket=True)
            assert (await client.wait("s", "r", WAIT_S)).status == "delivered"
            await client.cancel("s")

            async def complete() -> bool:
                return {codec.decode(frame)["t"] for frame in oraserver.frames} == set(of_type)

            await until(complete, "a frame of each type", timeout_s=WAIT_S)
        for frame in oraserver.frames:
            value = codec.decode(frame)
            if "data" in value:
                value["data"] = base64.b64encode(value["data"]).decode()  # JSON Schema has no type for bytes
            assert problems(ORASERVER, of_type[value["t"]], value) == []


async def _narrow(js: JetStream) -> dict[str, Any]:
    """Return the configuration of TTS_SESSIONS without room for another message."""
    info = await js.api("STREAM.INFO." + NAMES.sessions_stream)
    config: dict[str, Any] = info["config"]
    return config | {"max_msgs": max(1, info["state"]["messages"]), "discard": "new"}
