"""The log file of a supervised process, which the process itself writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

ROTATE_BYTES = 10 << 20
TAIL_BYTES = 64 << 10


class LogFile:
    """A log file. If it is larger than ROTATE_BYTES at the start of a process, it becomes the one older copy (`.1`).

    The process writes directly to the file. With a pipe it could block on its supervisor, and its last lines could be
    lost.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin = 0
        self._read = 0

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the file as the output of a process that starts now."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size > ROTATE_BYTES:
            self.path.replace(self.path.with_name(self.path.name + ".1"))
            self._read = 0
        with self.path.open("ab") as file:
            self._begin = file.tell()
            yield file

    def last_lines(self, count: int) -> list[str]:
        """The last lines that the current process has written, at most `count`."""
        return self._from(self._begin)[1][-count:]

    def new_lines(self) -> list[str]:
        """The complete lines written since the last call, of the last TAIL_BYTES only."""
        self._read, lines = self._from(self._read)
        return lines

    def skip(self) -> None:
        """Make `new_lines` begin after what has been written so far."""
        with contextlib.suppress(FileNotFoundError):
            self._read = self.path.stat().st_size

    def _from(self, offset: int) -> tuple[int, list[str]]:
        """The end of the last complete line, and the complete lines after `offset`, of the last TAIL_BYTES only."""
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
