"""The reference OraServer as an aiohttp application: WebSocket, HTTP and JSON over the rules and the storage.

The application itself answers pings, in the order of arrival. So a pong means that every chunk before it is stored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from orastream.service.health import start_site
from orastream.service.listening import cannot_listen
from orastream.service.metrics import CONTENT_TYPE
from services.oraserver.access import HTTP_PATH, WEBSOCKET_PATH, OraServerAccess
from services.oraserver.connections import CurrentConnections, was_reset
from services.oraserver.counts import Counts
from services.oraserver.faults import Faults, Misbehaviour
from services.oraserver.frames import parse_post
from services.oraserver.listing import Connections, Listing, listing, selected
from services.oraserver.misbehave_routes import misbehave_routes
from services.oraserver.rules import Book
from services.oraserver.store import RecordingStore
from services.oraserver.utterances import Completed, Event, RuleBroken
from services.oraserver.v2.service import StreamService, digest_of
from services.oraserver.v2.terms import SUBPROTOCOL, StreamTerms, offers

MAX_BODY_BYTES = 256 * 1024 * 1024
MAX_FRAME_BYTES = 16 * 1024 * 1024
PARSE_IN_THREAD_BYTES = 1024 * 1024
CLOSE_SECONDS = 2.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger("oraserver")


class OraServer:
    """One reference OraServer: its book, data directory and faults, and the HTTP application over them.

    `hosts` and `bound` are the hosts by which it may be called without a token (ORASERVER_HOSTS, TTS_HOST); `terms` are
    those of protocol v2.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        token: str | None = None,
        hosts: Iterable[str] = (),
        bound: str = "",
        faults: Faults | None = None,
        terms: StreamTerms | None = None,
    ) -> None:
        self.url = ""
        """`http://host:port` once it listens (see `serve`), else empty."""
        self._access = OraServerAccess(token, hosts, bound)
        self.misbehaviour = Misbehaviour(faults)
        self.store = RecordingStore(data_dir)
        self.book = Book(self._keep, next_number=self.store.next_number())
        self.book.replay(self.store.replay())
        self._sockets: set[web.WebSocketResponse[bool]] = set()
        self._current = CurrentConnections()
        self._connections = 0
        self._counts = Counts(lambda: len(self._sockets))
        self.streams = StreamService(data_dir, terms or StreamTerms(), self.misbehaviour, self._counts.keep_stream)
        """Protocol v2."""

    @property
    def websocket_url(self) -> str:
        """The value for ORASERVER_WEBSOCKET_URL."""
        return f"ws{self.url.removeprefix('http')}{WEBSOCKET_PATH}"

    @property
    def http_url(self) -> str:
        """The value for ORASERVER_HTTP_URL."""
        return self.url + HTTP_PATH

    async def received(self, session_id: str | None = None) -> Listing:
        """The answer of `GET /received`, only for one session if given."""
        chosen = selected(self.book, session_id)
        files = self.streams.files(session_id)
        digests, streams = await asyncio.to_thread(
            lambda: ({u.number: self.store.sha256(u) for u in chosen}, {n: digest_of(file) for n, file in files})
        )
        connections = Connections(open=len(self._sockets), total=self._connections)
        found = listing(self.book, self.store, connections, session_id, digests)
        return self.streams.with_streams(found, session_id, streams)

    def forget(self) -> None:
        """Forget all utterances, as `DELETE /received` does; the audio files stay."""
        self.book.forget()
        self.store.forget()
        self.streams.forget()

    def application(self) -> web.Application:
        """The application with its routes. Its cleanup closes the store."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._authorize])
        app.add_routes(
            [
                web.get(WEBSOCKET_PATH, self._websocket),
                web.post(HTTP_PATH, self._post),
                web.get("/received", self._get_received),
                web.delete("/received", self._delete_received),
                web.get("/healthz", self._healthz),
                web.get("/metrics", self._metrics),
                *misbehave_routes(self.misbehaviour),
                *self.streams.routes(),
            ]
        )
        app.on_startup.append(self._start_streams)
        app.on_shutdown.append(self._close_sockets)
        app.on_cleanup.append(self._close_store)
        return app

    def _keep(self, event: Event) -> None:
        self.store.keep(event)
        self._counts.keep(event)
        if isinstance(event, Completed):
            utterance = self.book.utterances[event.number]
            log.info(
                "utterance complete",
                session=utterance.metadata.session_id,
                request=utterance.metadata.request_id,
                transport=utterance.transport,
                chunks=len(utterance.chunks),
                bytes=utterance.bytes,
                repeats=utterance.repeats,
                connections=utterance.connections,
                seconds=round(event.at - utterance.first_chunk_at, 3),
                file=self.store.file_name(event.number),
            )
        elif isinstance(event, RuleBroken):
            violation = event.violation
            log.warning(
                "violation",
                session=event.session_id,
                utterance=event.number,
                rule=violation.rule,
                detail=violation.detail,
            )

    @web.middleware
    async def _authorize(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self._access.refusal(request.path, _Headers(request))
        if refusal is not None:
            return web.json_response({"error": refusal.message}, status=refusal.status)
        return await handler(request)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        status = self.misbehaviour.refusal("websocket")
        if status is not None:
            return web.Response(status=status)
        offered = offers(request.headers.get("Sec-WebSocket-Protocol", ""))
        if self.streams.terms.refuses(offered):
            return web.Response(status=400)
        selected = self.streams.terms.selected(offered)
        socket: web.WebSocketResponse[bool] = web.WebSocketResponse(
            autoping=False,
            compress=False,
            max_msg_size=MAX_FRAME_BYTES,
            decode_text=False,
            timeout=CLOSE_SECONDS,
            protocols=(selected,) if selected else (),
        )
        await socket.prepare(request)
        self._connections += 1
        self._sockets.add(socket)
        try:
            run = self.streams.serve if selected == SUBPROTOCOL else self._read
            if not await run(socket, request) and request.transport is not None:
                request.transport.abort()
        finally:
            self._sockets.discard(socket)
            self._current.ended(socket)
        return socket

    async def _read(self, socket: web.WebSocketResponse[bool], request: web.Request) -> bool:
        """Read frames until the peer ends the connection; False when it must be aborted.

        The frames of a connection that was reset or replaced are dropped: what they hold is cancelled, or comes again.
        """
        try:
            connection = self.book.connect(request.headers)
            while True:
                message = await socket.receive()
                if delay_ms := self.misbehaviour.faults.read_delay_ms:
                    await asyncio.sleep(delay_ms / 1000)
                if was_reset(request.transport) or self._current.replaced(socket):
                    return False
                if message.type is WSMsgType.TEXT:
                    if connection.receive(message.data, time.time()) and self.misbehaviour.drops(connection.chunks):
                        return False
                    self._current.began(socket, connection.init)
                elif message.type is WSMsgType.PING:
                    if not self.misbehaviour.faults.no_pong:
                        await socket.pong(message.data)
                elif message.type is WSMsgType.BINARY:
                    connection.receive_binary()
                elif message.type is not WSMsgType.PONG:
                    return True
        except ConnectionResetError:  # the peer closed the connection while a pong was written
            return True
        except OSError as exc:
            log.error("cannot store; the connection is aborted", problem=exc.strerror or str(exc))
            return False

    async def _post(self, request: web.Request) -> web.Response:
        status = self.misbehaviour.refusal("http")
        if status is not None:
            return web.Response(status=status)
        if delay_ms := self.misbehaviour.faults.read_delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        body = await request.read()
        if was_reset(request.transport):
            return web.Response(status=499)  # nobody reads it: the bridge cancelled the POST, or it sends it again
        parsed = await asyncio.to_thread(parse_post, body) if len(body) > PARSE_IN_THREAD_BYTES else parse_post(body)
        try:
            stored = self.book.take_post(*parsed, time.time())
        except OSError as exc:
            log.error("cannot store a POST", problem=exc.strerror or str(exc))
            return web.json_response({"error": "cannot store"}, status=507)
        if self.misbehaviour.drops(1) and request.transport is not None:
            request.transport.abort()
        if not stored:
            problems = [f"{violation.rule}: {violation.detail}" for violation in parsed[1]]
            return web.json_response(
                {"error": "; ".join(problems) or "the audio differs from what was received before"}, status=400
            )
        return web.json_response({"status": "received"})

    async def _get_received(self, request: web.Request) -> web.Response:
        answer = await self.received(request.query.get("session"))
        return web.Response(body=answer.model_dump_json(by_alias=True).encode(), content_type="application/json")

    async def _delete_received(self, _request: web.Request) -> web.Response:
        self.forget()
        return web.Response(status=204)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._counts.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _close_sockets(self, _app: web.Application) -> None:
        async with asyncio.TaskGroup() as tasks:
            for socket in self._sockets:
                tasks.create_task(socket.close(code=WSCloseCode.GOING_AWAY))

    async def _start_streams(self, _app: web.Application) -> None:
        await self.streams.start()

    async def _close_store(self, _app: web.Application) -> None:
        await self.streams.close()
        self.store.close()


class _Headers:
    """The headers of a request, for the rules of access."""

    def __init__(self, request: web.Request) -> None:
        self._headers = request.headers

    def getlist(self, key: str) -> list[str]:
        return self._headers.getall(key, [])


@asynccontextmanager
async def serve(server: OraServer, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[OraServer]:
    """Listen while the context is open; port 0 takes a free one (see `server.url`).

    At the end open connections are closed with code 1001. Raises SettingsError when it cannot listen. A server can be
    used only once.
    """
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    try:
        try:
            bound = await start_site(runner, host, port)
        except (OSError, UnicodeError) as exc:
            raise cannot_listen("ORASERVER_PORT", host, port, exc) from exc
        server.url = f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
        yield server
    finally:
        await runner.cleanup()
