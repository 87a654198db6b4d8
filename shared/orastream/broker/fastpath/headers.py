"""Headers of a NATS message."""

from __future__ import annotations

import re

_STATUS = re.compile(rb"NATS/1\.0 +(\d{3})\b")
_TOKEN = re.compile(rb"[!-~]+")
_NO_STATUS = b"NATS/1.0\r\n"


class Headers:
    """Headers of a message, parsed on access: a stored message has nine, and three are used.

    The server's inline status is under `Status`.
    """

    __slots__ = ("_block",)

    def __init__(self, block: bytes) -> None:
        """`block` is the bytes before the payload: `NATS/1.0[ status]`, CRLF, a line per header, CRLF.

        A publisher may send any bytes there: only `headers[name]` raises, a KeyError.
        """
        self._block = block

    @property
    def block(self) -> bytes:
        """The header block as received, for code that reads several headers at once."""
        return self._block

    @property
    def status(self) -> str | None:
        """The server's inline status, as "503", or None."""
        return None if self._block.startswith(_NO_STATUS) else self._status()

    def get(self, name: str) -> str | None:
        """Return the value of the header with exactly this name, or None."""
        block = self._block
        at = block.find(b"\r\n%b:" % name.encode())
        if at < 0:
            return self._status() if name == "Status" else None
        at += len(name) + 3
        return block[at : block.find(b"\r\n", at)].strip().decode("utf-8", "replace")

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def all(self) -> dict[str, str]:
        """Return every header by its name, as nats.micro passes them on. Of a name that comes twice: the last value.

        A line without a colon, or with a name that is not a token of ASCII characters, is left out.
        """
        found = {}
        for line in self._block.split(b"\r\n")[1:]:
            name, colon, value = line.partition(b":")
            if colon and _TOKEN.fullmatch(key := name.strip()):
                found[key.decode()] = value.strip().decode("utf-8", "replace")
        return found

    def _status(self) -> str | None:
        inline = _STATUS.match(self._block)
        return None if inline is None else inline[1].decode()


NO_HEADERS = Headers(_NO_STATUS + b"\r\n")
