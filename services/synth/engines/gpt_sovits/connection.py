"""HTTP to one server: a connection for each exchange, which any thread may break off. Only file that imports urllib3.

Closing the connection is the only way to stop a server that speaks.

    ServerFailed      it does not do what a server does; another one may
    ├── Unreachable   no connection within CONNECT_S
    ├── Broken        the connection ended, or said something else than HTTP, before the answer was whole
    └── Silent        nothing for as long as was waited: not a byte, or none that could be heard
    Aborted           this side has broken it off
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
_READ_BYTES = 8 * 1024  # 128 ms at 32 kHz: what is there is given at once, however little
_MAX_REFUSAL_BYTES = 64 * 1024


class ServerFailed(Exception):
    """It does not do what a server does. The message tells, after the server's address."""


class Unreachable(ServerFailed):
    """No connection."""


class BrokenAnswer(ServerFailed):
    """The connection ended before the answer was whole."""


class Silent(ServerFailed):
    """Nothing for as long as was waited: not a byte, or none that could be heard."""


class Aborted(Exception):
    """Broken off by this side."""


class ServerConnection:
    """One exchange with a server, as `with`. All but `abort` for one thread.

    `silence_s` is how long it may be silent. Every method raises ServerFailed, or Aborted after `abort`.
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
        """End it now; whoever waits in it gets Aborted. From any thread, at any time. Idempotent."""
        with self._lock:
            self._aborted = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # Not close(): that leaves a thread in recv waiting. Nor SSLSocket's own, which disturbs one.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def connect(self) -> None:
        """Reach the server, which takes CONNECT_S at most."""
        with self._translated():
            self._http.connect()
        with self._lock:
            self._socket = self._http.sock
            self._http.timeout = self._silence_s
            if self._aborted:
                raise Aborted

    def post(self, path: str, body: Mapping[str, object]) -> int:
        """Ask with a JSON body; the status of the answer, whose bytes `read` gives."""
        data = json.dumps(body).encode()
        return self._ask("POST", path, data, {"Content-Type": "application/json", "Accept": "audio/wav"})

    def get(self, path: str, **query: str) -> int:
        """Ask without a body."""
        return self._ask("GET", f"{path}?{urlencode(query)}" if query else path, None, {})

    def read(self, within_s: float | None = None) -> bytes:
        """The next bytes of the answer, as soon as there are any; none at its end.

        `within_s`, for this read alone, is less than `silence_s`.
        """
        assert self._answer is not None and self._socket is not None, "nothing was asked"
        with contextlib.suppress(OSError):  # the answer was whole, and its end that of the connection
            self._socket.settimeout(self._silence_s if within_s is None else within_s)
        with self._translated():
            data: bytes = self._answer.read1(_READ_BYTES)  # raises for an end before the announced size, too
        if not data and self._aborted:
            raise Aborted
        return data

    def refusal(self) -> bytes:
        """The rest of an answer, as much as may be a message."""
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
                raise Silent(f"gave nothing for {self._silence_s:g} s") from exc
            raise BrokenAnswer("broke off") from exc


def answers(url: str) -> bool:
    """Whether it speaks HTTP: any status will do, as api_v2 has nothing at `/`. Takes twice CONNECT_S at most."""
    with contextlib.suppress(ServerFailed), ServerConnection(url, silence_s=CONNECT_S) as connection:
        return 0 < connection.get("/") < 500
    return False


def listens(url: str) -> bool:
    """Whether somebody takes a connection there: leaves no line in the server's log. Takes CONNECT_S at most."""
    with contextlib.suppress(ServerFailed), ServerConnection(url, silence_s=CONNECT_S) as connection:
        connection.connect()
        return True
    return False
