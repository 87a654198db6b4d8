"""Reads the status of OraServer's answer to the handshake from the answer's first line. Pure.

A refusal is final, whatever comes after its first line: many servers answer `HTTP/1.1 401 Unauthorized` and close the
connection, without a Content-Length. A reader of the whole answer would wait for a body that never comes.
"""

from __future__ import annotations

import re

MAX_LINE_BYTES = 8192
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?:[ \r\n]|$)")


class StatusLine:
    """Collects the first line of an answer. The end of the connection counts as the end of the line."""

    def __init__(self) -> None:
        self._line = b""

    def feed(self, data: bytes) -> int | None:
        """Return the status once the line is complete; None before that, and for a line that is not HTTP/1's."""
        if not self._complete and len(self._line) < MAX_LINE_BYTES:
            self._line += data[:MAX_LINE_BYTES]
        return self._status() if self._complete else None

    def ended(self) -> int | None:
        """Return the status in what was received before the connection ended; None if there is none."""
        return self._status()

    @property
    def _complete(self) -> bool:
        return b"\n" in self._line

    def _status(self) -> int | None:
        found = _STATUS.match(self._line)
        return int(found[1]) if found else None
