"""What a power cut leaves of a folder, computed from the traced system calls of the process that writes it.

The model is that of a journaling file system, such as ext4 or XFS:

| what | after the power cut |
|---|---|
| created, renamed, truncated, deleted files and folders | as they were: the journal keeps the order of these changes |
| bytes that an O_SYNC write has written, or that an fsync which has returned covers | they are there |
| other written bytes | lost; or, with a `chance`, each write survives as a whole, in part, or not at all |

So a file that was truncated and written without a sync is empty, although its old content had been synced. A disk that
confirms a flush before the data is safe loses more than this model.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.strace import Call

UNKNOWN = frozenset(
    """pwritev pwritev2 sendfile copy_file_range splice sync_file_range msync fallocate truncate link linkat symlinkat
    open creat rename renameat2 unlink rmdir mkdir""".split()
)
"""Calls that the model lacks, because nats-server makes none of them."""


@dataclass
class _File:
    synced: bytearray = field(default_factory=bytearray)
    unsynced: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Writes since then: position of the return in the trace, offset, data."""
    at: int = 0
    """Where the next `write` goes."""
    o_sync: bool = False

    def write(self, ended: int, offset: int, data: bytes) -> None:
        self.unsynced.append((ended, offset, data))
        if self.o_sync:
            self.sync(ended + 1)

    def sync(self, before: int) -> None:
        """Keep the writes that had returned before this position."""
        for ended, offset, data in self.unsynced:
            if ended < before:
                _put(self.synced, offset, data)
        self.unsynced = [write for write in self.unsynced if write[0] >= before]

    def truncate(self, size: int) -> None:
        del self.synced[size:]
        self.synced.extend(bytes(size - len(self.synced)))
        clipped = [(ended, offset, data[: max(0, size - offset)]) for ended, offset, data in self.unsynced]
        self.unsynced = [write for write in clipped if write[2]]

    def left(self, chance: random.Random | None) -> bytes:
        left = bytearray(self.synced)
        for _, offset, data in self.unsynced if chance is not None else ():
            assert chance is not None
            survives = chance.choice((0.0, chance.random(), 1.0))
            if kept := data[: int(len(data) * survives)]:
                _put(left, offset, kept)
        return bytes(left)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


class Disk:
    """The files below `root`: those that are there now, changed by the calls passed to `run`."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._folders = {str(path) for path in (root, *root.rglob("*")) if path.is_dir()}
        self._files = {
            str(path): _File(bytearray(path.read_bytes())) for path in sorted(root.rglob("*")) if path.is_file()
        }

    def run(self, calls: Iterable[Call]) -> None:
        """Apply the calls, which are in the order of their returns. Raises AssertionError for one it cannot apply."""
        for call in calls:
            assert call.name not in UNKNOWN or call.result < 0, f"the model lacks {call}"
            if call.result >= 0 and any(path.startswith(self._root) for path in self._names(call)):
                self._apply(call)

    def after_power_cut(self, folder: Path, chance: random.Random | None = None) -> None:
        """Write the files that are left into `folder`, in place of `root`."""
        for path in self._folders:
            (folder / Path(path).relative_to(self._root)).mkdir(parents=True, exist_ok=True)
        for path, file in self._files.items():
            (folder / Path(path).relative_to(self._root)).write_bytes(file.left(chance))

    def _names(self, call: Call) -> list[str]:
        """The paths that the call is about."""
        if call.name.endswith("at"):
            return [str(Path(at) / name.decode()) for at, name in zip(call.paths, call.strings, strict=False)]
        return list(call.paths)

    def _apply(self, call: Call) -> None:
        path, *more = self._names(call)
        file = self._files.get(path)
        match call.name:
            case "openat":
                self._open(path, call.arguments)
            case "mkdirat":
                self._folders.add(path)
            case "unlinkat" if "AT_REMOVEDIR" in call.arguments:
                self._folders.remove(path)
            case "unlinkat":
                del self._files[path]
            case "renameat":
                self._rename(path, more[0])
            case _ if file is None:
                assert path in self._folders or "(deleted)" in call.arguments or call.name == "close", call
            case "fsync" | "fdatasync":
                file.sync(call.began)
            case "pwrite64":
                file.write(call.ended, call.number, call.data)
            case "write" | "writev":
                file.write(call.ended, file.at, call.data)
                file.at += call.result
            case "ftruncate":
                file.truncate(call.number)

    def _open(self, path: str, arguments: str) -> None:
        if path in self._folders:
            return
        created = path not in self._files
        assert not created or "O_CREAT" in arguments, f"{path}: it was there before the trace, but not in the model"
        file = self._files.setdefault(path, _File())
        if "O_TRUNC" in arguments:
            file.truncate(0)
        # A `write` continues where it began. nats-server uses pwrite64 in all files but new and truncated ones.
        file.at = 0
        file.o_sync = "O_SYNC" in arguments or "O_DSYNC" in arguments
        assert "O_APPEND" not in arguments, path

    def _rename(self, old: str, new: str) -> None:
        for names in (self._files, dict.fromkeys(self._folders)):
            for name in [name for name in names if name == old or name.startswith(f"{old}/")]:
                moved = new + name[len(old) :]
                if names is self._files:
                    self._files[moved] = self._files.pop(name)
                else:
                    self._folders.remove(name)
                    self._folders.add(moved)
