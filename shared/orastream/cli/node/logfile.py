"""The log file of a supervised process: appended to by the process itself, read here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

ROTATE_BYTES = 10 << 20
TAIL_BYTES = 64 << 10


class LogFile:
    """One file, kept in one older copy (`.1`) when it is large at the start of a process.

    The process writes to the file itself, not through a pipe: it never waits for its supervisor, and what it said last
    is there whatever happened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin = 0
        self._read = 0

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file to hand to a process that starts now."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size > ROTATE_BYTES:
            self.path.replace(self.path.with_name(self.path.name + ".1"))
            self._read = 0
        with self.path.open("ab") as file:
            self._begin = file.tell()
            yield file

    def last_lines(self, count: int) -> list[str]:
        """The last lines that the present process has written."""
        return self._from(self._begin)[1][-count:]

    def new_lines(self) -> list[str]:
        """Whole lines written since the last call (since the first start, at first)."""
        self._read, lines = self._from(self._read)
        return lines

    def skip(self) -> None:
        """`new_lines` begins with what is written from now on."""
        with contextlib.suppress(FileNotFoundError):
            self._read = self.path.stat().st_size

    def _from(self, offset: int) -> tuple[int, list[str]]:
        """Where the last whole line ends, and the whole lines after `offset`, of the last TAIL_BYTES only."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(offset, size - TAIL_BYTES))
                data = file.read()
                end = file.tell()
        except FileNotFoundError:
            return offset, []
        whole, newline, rest = data.rpartition(b"\n")
        if not newline:
            return offset, []
        return end - len(rest), whole.decode(errors="replace").splitlines()
