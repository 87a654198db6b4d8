"""A speech server for tests on a raw socket: `POST /v1/audio/speech` with tones for voices, and faults on demand.

It writes HTTP itself, so that it can also send what no HTTP library would send.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.gpt_sovits_listener import gone
from tests.support.gpt_sovits_speech import speech, tone, wav
from tests.support.raw_http import request_of, response_head
from tests.support.speech_faults import STATUSES, WRONG_FILES, SpeechFault

RATE_HZ = 24_000


@dataclass
class SpeechCall:
    """One `POST /v1/audio/speech` that the server got."""

    fields: dict[str, Any]
    headers: dict[str, str]
    left_after_s: float | None = None
    """Seconds until the client closed the connection before the end of the response; None if it did not."""
    sent_bytes: int = 0
    done: threading.Event = field(default_factory=threading.Event)


class SpeechServer:
    """The server, as `with`. It has its own threads; attributes may be read and set at any time."""

    def __init__(self, *, rate_hz: int = RATE_HZ, context: ssl.SSLContext | None = None) -> None:
        """With an SSL context it speaks TLS."""
        self.rate_hz = rate_hz
        self.context = context
        self.content_type: str | None = None
        """Content-Type of audio; None: the one of the format."""
        self.framing = "chunked"
        """Or `length`, or `close`: the body ends with the connection."""
        self.health = 200
        self.health_paths: list[str] = []
        self.calls: list[SpeechCall] = []
        self.most_at_once = 0
        self.stopping = threading.Event()
        self._faults: deque[SpeechFault] = deque()
        self._open: set[socket.socket] = set()
        self._speaking = 0
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = 0

    def __enter__(self) -> SpeechServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    @property
    def url(self) -> str:
        """The address for OPENAI_SPEECH_URLS."""
        return f"{'http' if self.context is None else 'https'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start to listen; after `die` on the same port."""
        assert self._listener is None, "the server runs already"
        self.stopping.clear()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def die(self) -> None:
        """Close the port and all connections, as SIGKILL does. Idempotent."""
        if self._listener is None:
            return
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._listener = None
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def misbehave(self, *faults: SpeechFault) -> None:
        """Apply these faults to the next sentences, one to each."""
        self._faults.extend(faults)

    def forgive(self) -> None:
        """Apply no more faults."""
        self._faults.clear()

    # ---- connections

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        try:
            with contextlib.suppress(OSError), self._secured(connection) as connection:
                if (request := request_of(connection)) is not None:
                    self._answer(connection, *request)
        finally:
            with self._lock:
                self._open.discard(connection)

    def _secured(self, connection: socket.socket) -> socket.socket:
        return connection if self.context is None else self.context.wrap_socket(connection, server_side=True)

    def left(self, connection: socket.socket) -> bool:
        """Whether the client has closed the connection. By TLS only a write shows that."""
        return self.context is None and gone(connection)

    def _answer(self, connection: socket.socket, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        if method == "GET":
            self.health_paths.append(path)
            connection.sendall(response_head(self.health, "application/json", 2) + b"{}")
        elif path != "/v1/audio/speech":
            connection.sendall(response_head(404, "application/json", 2) + b"{}")
        else:
            with self._spoken(SpeechCall(json.loads(body), headers)) as (call, fault):
                _Speech(self, connection, call).answer(fault)

    @contextlib.contextmanager
    def _spoken(self, call: SpeechCall) -> Iterator[tuple[SpeechCall, SpeechFault | None]]:
        with self._lock:
            self._speaking += 1
            self.most_at_once = max(self.most_at_once, self._speaking)
            self.calls.append(call)
            fault = self._faults.popleft() if self._faults else None
        began = time.monotonic()
        try:
            yield call, fault
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            if not self.stopping.is_set():
                call.left_after_s = time.monotonic() - began
        finally:
            with self._lock:
                self._speaking -= 1
            call.done.set()


class _Speech:
    """The answer to one request for speech."""

    def __init__(self, server: SpeechServer, connection: socket.socket, call: SpeechCall) -> None:
        self._server = server
        self._connection = connection
        self._call = call
        self._wav = call.fields.get("response_format") == "wav"

    def answer(self, fault: SpeechFault | None) -> None:
        fields = self._call.fields
        pcm = speech(fields["input"], self._server.rate_hz, fields.get("speed", 1.0))
        match fault:
            case None:
                self._whole(wav(pcm, self._server.rate_hz) if self._wav else pcm)
            case "mute":
                self._wait_until_left()
            case "trickling head":
                self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 60_000)
            case "endless continue":
                self._for_ever(b"HTTP/1.1 100 Continue\r\n\r\n")
            case "huge head":
                self._send(b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * (1 << 20) + b"\r\n\r\n")
            case "many headers":
                self._send(b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 10_000 + b"\r\n")
            case "not http":
                self._send(b"220 mail.example ESMTP\r\n")
            case "close":
                pass
            case _ if fault in STATUSES:
                status, headers, kind, body = STATUSES[fault]
                self._send(response_head(status, kind, len(body), headers) + body)
            case _ if fault in WRONG_FILES:
                self._whole(WRONG_FILES[fault])
            case "long error":
                self._begin(500, "text/html")
                self._for_ever(b"%x\r\n%s\r\n" % (1000, b"x" * 1000))
            case "trickling error":
                self._send(response_head(500, "text/html", 1 << 20))
                self._drip(b"x" * 60_000)
            case "gzip":
                self._send(response_head(200, "audio/pcm", 4, {"Content-Encoding": "gzip"}) + b"\x1f\x8b\x08\x00")
            case "gzip, chunked":
                self._send(response_head(200, "audio/pcm", None, {"Transfer-Encoding": "gzip, chunked"}))
                self._send(b"4\r\n\x1f\x8b\x08\x00\r\n0\r\n\r\n")
            case "empty":
                self._whole(b"")
            case "half a sample":
                self._whole(pcm + b"\x01")
            case _:
                self._streamed(fault, pcm)

    def _streamed(self, fault: SpeechFault, pcm: bytes) -> None:
        self._begin(200, self._kind)
        if self._wav:
            self._chunk(wav(b"", self._server.rate_hz))
        first = len(tone(self._call.fields["input"][:6], self._server.rate_hz))
        match fault:
            case "silent body":
                self._wait_until_left()
            case "trickle":
                self._drip(b"1\r\n\x00\r\n" * 10_000, 6)
            case "stall":
                self._chunk(pcm[:first])
                self._wait_until_left()
            case "reset":
                self._chunk(pcm[:first])
                time.sleep(0.2)
                self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            case "early close":
                self._chunk(pcm[:first])
            case "close before audio":
                pass
            case "bad chunk":
                self._chunk(pcm[:first])
                self._send(b"zz\r\n" + pcm[first : first + 100])
            case "negative chunk":
                self._chunk(pcm[:first])
                self._send(b"-5\r\nabcde\r\n")
            case "endless trailer":
                self._chunk(pcm)
                self._send(b"0\r\n")
                self._for_ever(b"X-Trailer: 1\r\n")
            case "endless":
                while True:
                    self._chunk(pcm)
            case "slow":
                for at in range(0, len(pcm), 2_400):
                    self._chunk(pcm[at : at + 2_400])
                    if self._server.stopping.wait(0.05) or self._server.left(self._connection):
                        raise ConnectionResetError
                self._send(b"0\r\n\r\n")

    # ---- what is sent

    @property
    def _kind(self) -> str:
        return self._server.content_type or ("audio/wav" if self._wav else "audio/pcm")

    def _whole(self, body: bytes) -> None:
        match self._server.framing:
            case "length":
                self._send(response_head(200, self._kind, len(body)) + body)
            case "close":
                self._send(response_head(200, self._kind, None) + body)
            case _:
                self._begin(200, self._kind)
                for at in range(0, len(body), 9_999):
                    self._chunk(body[at : at + 9_999])
                self._send(b"0\r\n\r\n")

    def _begin(self, status: int, kind: str) -> None:
        self._send(response_head(status, kind, None, {"Transfer-Encoding": "chunked"}))

    def _chunk(self, data: bytes) -> None:
        self._send(b"%x\r\n%s\r\n" % (len(data), data))

    def _send(self, data: bytes) -> None:
        self._connection.sendall(data)
        self._call.sent_bytes += len(data)

    def _drip(self, data: bytes, size: int = 1) -> None:
        for at in range(0, len(data), size):
            self._send(data[at : at + size])
            if self._server.stopping.wait(0.05) or self._server.left(self._connection):
                raise ConnectionResetError

    def _for_ever(self, data: bytes) -> None:
        while not self._server.stopping.is_set():
            self._send(data * 10)
            time.sleep(0.001)

    def _wait_until_left(self) -> None:
        while not self._server.stopping.wait(0.005):
            if self._server.left(self._connection):
                raise ConnectionResetError


__all__ = ["RATE_HZ", "SpeechCall", "SpeechFault", "SpeechServer"]
