"""Delivery over HTTP: one POST with the whole file per utterance (`link.py`), over one pooled client."""

from __future__ import annotations

import socket
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from orastream.base.reset import reset_on_close
from orastream.contract.bridge_record import BridgeRecord
from orastream.delivery.post.link import CONNECT_S, SILENCE_S, HttpLink, running
from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.tls import ORASERVER, ClientTls, TlsFiles

IDLE_S = 5.0
SEND_BUFFER_BYTES = 128 << 10
"""The kernel's send buffer. A small one, so that little audio is in flight at a barge-in."""


class HttpSink:
    """Opens links that POST to `url` over one pooled HTTP client. `rules` are the limits for retries and waits."""

    def __init__(
        self,
        client: aiohttp.ClientSession,
        url: str,
        rules: DeliveryRules,
        client_tls: ClientTls | None = None,
        *,
        metadata_rate: bool = False,
    ) -> None:
        """`client_tls` is used for https; None: with the system's authorities and no client certificate."""
        self._client = client
        self._tls = client_tls or ClientTls(TlsFiles(ORASERVER))
        self._url = url
        self.transport: Literal["http"] = "http"
        self.rules = replace(rules, confirm_every=None, max_unconfirmed_bytes=None)
        self.metadata_rate = metadata_rate
        self.fallback = None
        self.idle_s = IDLE_S
        self.link_per_utterance = False

        self.record = BridgeRecord()

    async def connect_for_cancels(self, session_id: str, wake: Callable[[], None]) -> None:
        """OraServer gets whole utterances alone."""

    async def connect(self, session_id: str, phone_id: str, wake: Callable[[], None]) -> HttpLink:
        """A new link. The POST itself opens a connection, or reuses one of the pool."""
        return HttpLink(self._client, self._url, self._tls)


def http_client(headers: Mapping[str, str]) -> aiohttp.ClientSession:
    """An HTTP client with pooled connections that sends these headers. The caller closes it (`async with`)."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
    # With a limit, POSTs that OraServer answers slowly would block those of other sessions.
    unlimited = _Connector(limit=0, socket_factory=_socket)
    return aiohttp.ClientSession(headers=headers, timeout=timeout, connector=unlimited)


class _Connector(aiohttp.TCPConnector):
    """Passes the connection of each POST to its link, which resets it when the utterance is cancelled."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used: weakref.WeakSet[object] = weakref.WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        if (link := running.get(None)) is not None:
            link.uses(connection, first=connection.protocol not in self._used)
            if connection.protocol is not None:
                self._used.add(connection.protocol)
        return connection


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket with a small send buffer that ends with a reset, also when this process is killed during a POST."""
    sock = socket.socket(*address[:3])
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    reset_on_close(sock, on=True)
    return sock
