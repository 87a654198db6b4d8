"""HTTP to one server: one connection per request, which any thread may abort. The only file that imports urllib3.

Closing the connection is the only way to stop a server that speaks.

    ServerFailed      the server failed; another one may work
    ├── Unreachable   no connection within CONNECT_S
    ├── BrokenAnswer  the connection ended, or sent something else than HTTP, before the answer was complete
    └── Silent        timeout: no byte, or no audible sample
    Aborted           this side has closed the connection
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Self
from urllib.parse import urlencode, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

CONNECT_S = 2.0
_READ_BYTES = 8 * 1024  # 128 ms at 32 kHz; a read returns at once with fewer bytes
_MAX_REFUSAL_BYTES = 64 * 1024


class ServerFailed(Exception):
    """The server failed. The message continues a text that names the server's address."""


class Unreachable(ServerFailed):
    """No connection."""


class BrokenAnswer(ServerFailed):
    """The connection ended before the answer was complete."""


class Silent(ServerFailed):
    """The server sent no byte, or no audible sample, within the timeout."""


class Aborted(Exception):
    """Our side has closed the connection."""


class ServerConnection:
    """One request to a server, as `with`. For one thread, except `abort`.

    `silence_s` is the timeout of each read, in seconds. Every method raises ServerFailed, or Aborted after `abort`.
    """

    def __init__(self, url: str, *, silence_s: float) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._http = (
            HTTPSConnection(host, port, timeout=CONNECT_S, ssl_context=ssl.create_default_context())
            if secure
            else HTTPConnection(host, port, timeout=CONNECT_S)
        )
        self._path = parts.path
        self._silence_s = silence_s
        self._socket: socket.socket | None = None
        self._answer: BaseHTTPResponse | None = None
        self._aborted = False
        self._lock = threading.Lock()  # between `abort` and a connect that succeeds at the same time

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()
        if self._answer is not None:
            self._answer.close()
        self._http.close()

    def abort(self) -> None:
        """Ends the request; a waiting method raises Aborted. Thread-safe. Idempotent."""
        with self._lock:
            self._aborted = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # close() would leave a thread blocked in recv. SSLSocket.shutdown would disturb its TLS state.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def connect(self) -> None:
        """Connects to the server within CONNECT_S."""
        with self._translated():
            self._http.connect()
        with self._lock:
            self._socket = self._http.sock
            self._http.timeout = self._silence_s
            if self._aborted:
                raise Aborted

    def post(self, path: str, body: Mapping[str, object]) -> int:
        """Sends a JSON body and returns the status; `read` returns the bytes of the answer."""
        data = json.dumps(body).encode()
        return self._ask("POST", path, data, {"Content-Type": "application/json", "Accept": "audio/wav"})

    def get(self, path: str, **query: str) -> int:
        """Sends a GET request and returns the status."""
        return self._ask("GET", f"{path}?{urlencode(query)}" if query else path, None, {})

    def read(self, within_s: float | None = None) -> bytes:
        """Waits for the next bytes of the answer and returns them; empty at its end.

        `within_s` is a shorter timeout for this read than `silence_s`.
        """
        assert self._answer is not None and self._socket is not None, "nothing was asked"
        with contextlib.suppress(OSError):  # the answer was complete and the socket is already closed
            self._socket.settimeout(self._silence_s if within_s is None else within_s)
        with self._translated():
            data: bytes = self._answer.read1(_READ_BYTES)  # also raises at an end before the announced size
        if not data and self._aborted:
            raise Aborted
        return data

    def refusal(self) -> bytes:
        """Returns the rest of an answer, limited to about _MAX_REFUSAL_BYTES."""
        said = b""
        while len(said) < _MAX_REFUSAL_BYTES and (data := self.read()):
            said += data
        return said

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> int:
        if self._socket is None:
            self.connect()
        with self._translated():
            self._http.request(
                method, self._path + path, body=body, headers=headers, preload_content=False, decode_content=False
            )
            self._answer = self._http.getresponse()
        return self._answer.status

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPError, HTTPException, ValueError, ServerFailed) as exc:
            if self._aborted:
                raise Aborted from exc
            if isinstance(exc, ServerFailed):
                raise
            if isinstance(exc, (NewConnectionError, ConnectTimeoutError)) or self._socket is None:
                raise Unreachable("cannot be reached") from exc
            if isinstance(exc, (TimeoutError, ReadTimeoutError)):
                raise Silent(f"sent nothing for {self._silence_s:g} s") from exc
            raise BrokenAnswer("ended its answer too early") from exc


def answers(url: str) -> bool:
    """Whether the server answers `GET /` with a status below 500 (api_v2: 404). Takes at most 2 × CONNECT_S."""
    with contextlib.suppress(ServerFailed), ServerConnection(url, silence_s=CONNECT_S) as connection:
        return 0 < connection.get("/") < 500
    return False


def listens(url: str) -> bool:
    """Whether the server accepts a connection; leaves no line in its log. Takes at most CONNECT_S."""
    with contextlib.suppress(ServerFailed), ServerConnection(url, silence_s=CONNECT_S) as connection:
        connection.connect()
        return True
    return False
