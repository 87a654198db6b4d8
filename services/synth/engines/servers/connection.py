"""HTTP to one server: one connection per request, which any thread may abort. The only file that imports urllib3.

Closing the connection is the only way to stop a server that speaks.

    ServerFailed      the server failed; another one may work
    ├── Unreachable   no connection within `connect_s`
    ├── BrokenAnswer  the connection ended, or sent something else than HTTP, before the answer was complete
    └── Silent        timeout: no byte, or no audible sample
    Aborted           this side has closed the connection
"""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Self
from urllib.parse import urlencode, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

CONNECT_S = 2.0
_READ_BYTES = 8 * 1024  # 128 ms at 32 kHz; a read returns at once with fewer bytes
_MAX_REFUSAL_BYTES = 64 * 1024
_REFUSAL_S = 2.0


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


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """How an engine connects to its servers."""

    connect_s: float = CONNECT_S
    """Timeout of a connect, in seconds."""
    tls: ssl.SSLContext | None = None
    """For addresses with https; None: the authorities of the system."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers of each request, such as a key."""


class ServerConnection:
    """One request to a server, as `with`. For one thread, except `abort` and `enforce`.

    `silence_s` is the timeout for the whole head of the answer, and of each read, in seconds. A socket has a timeout
    for each of its reads only: a server that sends a byte of its head now and then is stopped by `enforce`, which
    another thread calls. Every method raises ServerFailed, or Aborted after `abort`.
    """

    def __init__(self, url: str, *, silence_s: float, access: ServerAccess | None = None) -> None:
        self._access = access or ServerAccess()
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        connect_s = self._access.connect_s
        self._http = (
            HTTPSConnection(host, port, timeout=connect_s, ssl_context=self._access.tls or _system_tls())
            if secure
            else HTTPConnection(host, port, timeout=connect_s)
        )
        self._path = parts.path
        self._silence_s = silence_s
        self._socket: socket.socket | None = None
        self._answer: BaseHTTPResponse | None = None
        self._aborted = False
        self._due: float | None = None  # when the method that waits for the server takes too long
        self._overdue = False
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
            self._shut_down()

    def enforce(self) -> None:
        """Ends a wait for the server that takes too long: that method raises Silent. Thread-safe. Never waits."""
        due = self._due
        if due is not None and time.monotonic() > due and not self._overdue:
            with self._lock:
                self._overdue = True
                self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # close() would leave a thread blocked in recv. SSLSocket.shutdown would disturb its TLS state.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def connect(self) -> None:
        """Connects to the server within `ServerAccess.connect_s`."""
        with self._translated():
            self._http.connect()
        with self._lock:
            self._socket = self._http.sock
            self._http.timeout = self._silence_s
            if self._aborted:
                raise Aborted
        self._socket.settimeout(self._silence_s)

    def post(self, path: str, body: Mapping[str, object], *, accept: str = "audio/wav") -> int:
        """Sends a JSON body and returns the status; `read` returns the bytes of the answer."""
        data = json.dumps(body).encode()
        return self._ask("POST", path, data, {"Content-Type": "application/json", "Accept": accept})

    def get(self, path: str, **query: str) -> int:
        """Sends a GET request and returns the status."""
        return self._ask("GET", f"{path}?{urlencode(query)}" if query else path, None, {})

    def header(self, name: str) -> str:
        """Returns a header of the answer; empty if it has none of that name."""
        assert self._answer is not None, "nothing was asked"
        return self._answer.headers.get(name, "")

    def read(self, within_s: float | None = None) -> bytes:
        """Waits for the next bytes of the answer and returns them; empty at its end.

        `within_s` is a shorter timeout for this read than `silence_s`.
        """
        assert self._answer is not None and self._socket is not None, "nothing was asked"
        timeout_s = self._silence_s if within_s is None else within_s
        with contextlib.suppress(OSError):  # the answer was complete and the socket is already closed
            self._socket.settimeout(timeout_s)
        with self._translated(timeout_s):
            data: bytes = self._answer.read1(_READ_BYTES)  # also raises at an end before the announced size
        if not data:
            self._check_own_end()
        return data

    def refusal(self) -> bytes:
        """Returns the rest of an answer, limited to about _MAX_REFUSAL_BYTES and _REFUSAL_S."""
        said, until = b"", time.monotonic() + min(self._silence_s, _REFUSAL_S)
        while (
            len(said) < _MAX_REFUSAL_BYTES and (left_s := until - time.monotonic()) > 0 and (data := self.read(left_s))
        ):
            said += data
        return said

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> int:
        if self._socket is None:
            self.connect()
        headers = {**self._access.headers, **headers}
        with self._translated(self._silence_s):
            self._http.request(
                method, self._path + path, body=body, headers=headers, preload_content=False, decode_content=False
            )
            self._answer = self._http.getresponse()
        self._check_own_end()  # a head that our side has cut off may look complete
        coding = self.header("Transfer-Encoding").strip().lower()
        if coding not in ("", "chunked"):  # http.client would return the bytes of the coding as the body
            raise ServerFailed("sent a transfer encoding that was not asked for")
        return self._answer.status

    def _check_own_end(self) -> None:
        """Raise Aborted or Silent if our side has ended the connection."""
        if self._aborted:
            raise Aborted
        if self._overdue:
            raise self._silent()

    @contextlib.contextmanager
    def _translated(self, timeout_s: float | None = None) -> Iterator[None]:
        if timeout_s is not None:
            self._due = time.monotonic() + timeout_s
        try:
            yield
        except (OSError, HTTPError, HTTPException, ValueError, ServerFailed) as exc:
            if self._aborted:
                raise Aborted from exc
            if isinstance(exc, ServerFailed):
                raise
            if self._overdue:
                raise self._silent() from exc
            if isinstance(exc, (NewConnectionError, ConnectTimeoutError)) or self._socket is None:
                raise Unreachable(_unreachable(exc)) from exc
            if isinstance(exc, (TimeoutError, ReadTimeoutError)):
                raise self._silent() from exc
            raise BrokenAnswer("ended its answer too early") from exc
        finally:
            self._due = None

    def _silent(self) -> Silent:
        return Silent(silence(self._silence_s))


@functools.cache
def _system_tls() -> ssl.SSLContext:
    """Trusts the authorities of the system. Shared: to read them takes tens of milliseconds."""
    return ssl.create_default_context()


def silence(seconds: float) -> str:
    """Returns what to say about a server that sends nothing for so long."""
    return f"sent nothing for {round(seconds, 1):g} s"


def _unreachable(exc: Exception) -> str:
    """Returns why there is no connection; for TLS with OpenSSL's reason."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"cannot be reached: its certificate is not accepted ({exc.verify_message})"
    if isinstance(exc, ssl.SSLError):
        return f"cannot be reached: the TLS handshake failed ({exc.reason or 'no reason given'})"
    return "cannot be reached"


@contextlib.contextmanager
def checking(url: str, access: ServerAccess | None = None) -> Iterator[ServerConnection]:
    """A connection for the check of a server, which ends after 3 × `connect_s` at the latest."""
    access = access or ServerAccess()
    with ServerConnection(url, silence_s=access.connect_s, access=access) as connection:
        timer = threading.Timer(2 * access.connect_s, connection.abort)
        timer.daemon = True
        timer.start()
        try:
            yield connection
        finally:
            timer.cancel()


def listens(url: str, access: ServerAccess | None = None) -> str:
    """Checks that the server accepts a connection; leaves no line in its log. Takes at most 3 × `connect_s`.

    Returns what is wrong, or an empty string.
    """
    try:
        with checking(url, access) as connection:
            connection.connect()
    except (ServerFailed, Aborted) as exc:
        return str(exc) or "does not answer in time"
    return ""
