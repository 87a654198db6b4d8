"""The system calls of a running process, traced with strace: what it writes to which file or socket, in which order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import Logs, Process

TRACED = (
    "openat,open,creat,close,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendfile,copy_file_range,splice,"
    "fsync,fdatasync,sync_file_range,msync,ftruncate,truncate,fallocate,"
    "rename,renameat,renameat2,link,linkat,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat"
)
MAX_BYTES = 2 << 20
"""Bytes of one write that the trace keeps: more than nats-server's max_payload."""
_ATTACHED = re.compile(r"strace: Process \d+ attached")

_HEX = r"(?:\\x[0-9a-f]{2})*"
_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)(.*)", re.DOTALL)
_STRING = re.compile(rf'"({_HEX})"(\.\.\.)?')
_FD = re.compile(rf"(-?\d+|AT_FDCWD)<({_HEX})>")
_UNFINISHED = " <unfinished ...>"


@pytest.fixture(scope="session")
def require_strace() -> None:
    """Skip the test if strace cannot attach to a process (apt install strace); fail it if REQUIRE_STRACE=1."""
    lacks = _lacks()
    if lacks and os.environ.get("REQUIRE_STRACE") == "1":
        pytest.fail(f"REQUIRE_STRACE=1, and {lacks}", pytrace=False)
    if lacks:
        pytest.skip(lacks)


def _lacks() -> str:
    if shutil.which("strace") is None:
        return "there is no strace; on Debian and Ubuntu: apt install strace"
    with subprocess.Popen(["sleep", "30"]) as child:
        try:
            # It ends when the process that it traces ends.
            tracing = ["strace", "-f", "-o", os.devnull, "-p", str(child.pid)]
            with subprocess.Popen(tracing, stderr=subprocess.PIPE, text=True) as strace:
                assert strace.stderr is not None
                said = strace.stderr.readline()
                child.kill()
        finally:
            child.kill()
    return "" if _ATTACHED.match(said) else f"strace cannot attach to a process here: {said.strip()}"


class Trace(Process):
    """`async with Trace(pid, folder, logs) as trace:` traces the process inside. Then read `trace.calls()`."""

    def __init__(self, pid: int, folder: Path, logs: Logs) -> None:
        self._file = folder / "strace.out"
        log = logs["strace"] = folder / "strace.log"
        argv = ["strace", "-f", "-ttt", "-y", "-xx", "-s", str(MAX_BYTES), "-e", f"trace={TRACED}", "-o", self._file]
        super().__init__("strace", [*argv, "-p", str(pid)], env={"PATH": os.environ["PATH"]}, cwd=folder, log=log)

    async def __aenter__(self) -> Trace:
        async def attached() -> bool:
            return _ATTACHED.search(self.text()) is not None

        self.launch()
        await self.until_ready(attached)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def calls(self) -> list[Call]:
        """The calls that have returned, in the order of their returns."""
        with self._file.open() as lines:
            return list(parse(lines))


@dataclass(frozen=True, slots=True)
class Call:
    """A system call. `began` and `ended` are the positions of its entry and its return in the trace."""

    name: str
    began: int
    ended: int
    began_s: float
    """The time of its entry, in unix seconds: to compare with the calls of another process of this machine."""
    ended_s: float
    arguments: str
    """As strace prints them, without the contents of strings."""
    fd: int
    """The first file descriptor among the arguments; -1 without one."""
    paths: tuple[str, ...]
    """The paths of the file descriptors among the arguments, in their order; a socket's is `socket:[…]`."""
    strings: tuple[bytes, ...]
    """Data and names among the arguments."""
    result: int

    @property
    def path(self) -> str:
        """The path of the first file descriptor; empty without one."""
        return self.paths[0] if self.paths else ""

    @property
    def data(self) -> bytes:
        """The bytes that a write has written."""
        return b"".join(self.strings)[: self.result]

    @property
    def number(self) -> int:
        """The last argument, if it is a number: the offset of a pwrite64, the length of an ftruncate."""
        return int(self.arguments.rpartition(",")[2])


def parse(lines: Iterator[str]) -> Iterator[Call]:
    """Parse the output of `strace -f -ttt -y -xx`. Raises ValueError for a call whose data strace has cut off."""
    unfinished: dict[str, tuple[int, float, str]] = {}
    for position, line in enumerate(lines):
        match = _LINE.match(line)
        if match is None:
            continue
        thread, time, text = match.groups()
        began, began_s = position, float(time)
        if text.endswith(_UNFINISHED):
            unfinished[thread] = (began, began_s, text.removesuffix(_UNFINISHED))
            continue
        if (resumed := _RESUMED.match(text)) is not None:
            if thread not in unfinished:
                continue  # it had begun before strace attached
            began, began_s, head = unfinished.pop(thread)
            text = head + resumed[2]
        if (call := _CALL.match(text)) is not None:
            yield _call(call, (began, position), (began_s, float(time)))


def _call(match: re.Match[str], positions: tuple[int, int], times_s: tuple[float, float]) -> Call:
    name, arguments, result, _ = match.groups()
    if any(cut for _, cut in _STRING.findall(arguments)) and int(result) > 0 and "write" in name:
        raise ValueError(f"strace has cut off the data of a {name}")
    fds = _FD.findall(arguments)
    return Call(
        name,
        *positions,
        *times_s,
        _STRING.sub('""', _FD.sub(r"\1", arguments)),
        next((int(fd) for fd, _ in fds if fd != "AT_FDCWD"), -1),
        tuple(_bytes(path).decode(errors="surrogateescape") for _, path in fds),
        tuple(_bytes(text) for text, _ in _STRING.findall(arguments)),
        int(result),
    )


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
