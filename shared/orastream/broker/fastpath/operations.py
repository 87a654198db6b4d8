"""The server's operations other than messages: PING, PONG, INFO, +OK and -ERR, passed to nats-py's client."""

from __future__ import annotations

import json
from typing import Any, Protocol

from nats.protocol.parser import Parser

from orastream.broker.fastpath.splitter import ProtocolError, Splitter


class Receiver(Protocol):
    """The part of nats-py's client that the parser uses."""

    @property
    def wired(self) -> bool:
        """Whether a `Wire` has already removed the messages from the bytes to parse."""
        ...

    def deliver(self, sid: int, subject: bytes, reply: bytes, block: bytes, data: bytes) -> None:
        """Take a message."""
        ...

    async def _process_ping(self) -> None: ...

    async def _process_pong(self) -> None: ...

    async def _process_err(self, err_msg: str) -> None: ...

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None: ...


class OperationParser(Parser):
    """Replaces nats-py's parser. Splits off messages itself if no `Wire` does."""

    def __init__(self, client: Receiver) -> None:
        self._client = client
        self._splitter = Splitter(client.deliver)
        super().__init__(client)

    def reset(self) -> None:
        """Drop bytes of the previous connection."""
        self._splitter = Splitter(self._client.deliver)
        super().reset()

    async def parse(self, data: bytes = b"") -> None:
        """Handle all complete operations read so far. Raises ProtocolError."""
        self.buf += data if self._client.wired else self._splitter.split(data)
        while (end := self.buf.find(b"\r\n")) >= 0:
            line = bytes(self.buf[:end])
            del self.buf[: end + 2]
            await self._do(line)

    async def _do(self, line: bytes) -> None:
        match line.replace(b"\t", b" ").partition(b" ")[0]:
            case b"PING":
                await self._client._process_ping()
            case b"PONG":
                await self._client._process_pong()
            case b"+OK":
                pass
            case b"-ERR":
                # The text may contain a subject that is not UTF-8, as a reply subject that a caller chose.
                await self._client._process_err(line[4:].strip().decode("utf-8", "replace").lower())
            case b"INFO":
                await self._client._process_info(parse_info(line[4:]))
            case _:
                raise ProtocolError(f"not an operation of NATS: {line[:40]!r}")


def parse_info(data: bytes) -> dict[str, Any]:
    """Return the JSON object of INFO. Raises ProtocolError."""
    try:
        info = json.loads(data)
    except (ValueError, RecursionError):
        raise ProtocolError("INFO does not contain JSON") from None
    return check_info(info)


def check_info(info: object) -> dict[str, Any]:
    """Return `info` if its fields have the types that nats-py relies on. Raises ProtocolError."""
    if not isinstance(info, dict):
        raise ProtocolError("INFO is not a JSON object")
    urls = info.get("connect_urls") or []
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise ProtocolError("INFO: connect_urls is not a list of strings")
    limit = info.get("max_payload", 0)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise ProtocolError(f"INFO: max_payload is {ascii(limit)[:40]}")
    return info
