"""The model of a power cut, with the traced system calls of a real process."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from tests.support.power_cut import Disk
from tests.support.processes import Logs, Process, until
from tests.support.strace import Trace, parse, require_strace

__all__ = ["require_strace"]

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("require_strace")]

WRITER = """
import os, time
while not os.path.exists("go"):
    time.sleep(0.01)
os.chdir("disk")
here = os.open(".", os.O_RDONLY)  # with it Python makes the calls that nats-server makes: renameat, …

def opened(name, flags=0):
    return os.open(name, os.O_RDWR | os.O_CREAT | flags)

file = opened("blocks")
os.pwrite(file, b"synced.", 0)
os.fsync(file)
os.pwrite(file, b"lost...", 7)
os.pwrite(file, b"S", 0)  # over a synced byte
file = opened("o_sync", os.O_SYNC | os.O_TRUNC)
os.write(file, b"one ")
os.write(file, b"two")
os.write(opened("unsynced", os.O_TRUNC), b"unsynced")
os.write(opened("was there", os.O_TRUNC), b"new, unsynced")
file = opened("new")
os.pwrite(file, b"renamed", 0)
os.fsync(file)
os.rename("new", "old", src_dir_fd=here, dst_dir_fd=here)
os.mkdir("folder", dir_fd=here)
file = opened("folder/in it")
os.pwrite(file, b"0123456789", 0)
os.fsync(file)
os.ftruncate(file, 5)
os.rename("folder", "moved", src_dir_fd=here, dst_dir_fd=here)
os.unlink("deleted", dir_fd=here)
open("../done", "w").close()
time.sleep(60)
"""
SYNCED = {
    "blocks": b"synced.",
    "o_sync": b"one two",
    "unsynced": b"",
    "was there": b"",
    "untouched": b"untouched",
    "old": b"renamed",
    "moved/in it": b"01234",
}


async def written(tmp_path: Path, logs: Logs) -> Disk:
    """The disk after WRITER has run."""
    folder = tmp_path / "disk"
    folder.mkdir()
    for name in ("was there", "untouched", "deleted"):
        (folder / name).write_text(name)
    writer = Process("writer", [sys.executable, "-c", WRITER], env={}, cwd=tmp_path, log=tmp_path / "writer.log")

    async def done() -> bool:
        assert writer.running, writer.text()
        return (tmp_path / "done").exists()

    try:
        writer.launch()
        async with Trace(writer.pid, tmp_path, logs) as trace:
            disk = Disk(folder)
            (tmp_path / "go").touch()
            await until(done, "the process has written")
    finally:
        writer.kill()
    disk.run(trace.calls())
    return disk


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_fsync_does_not_cover_a_write_that_returns_after_its_begin(tmp_path: Path) -> None:
    """Of another thread: the kernel may have begun to sync before it took the bytes."""

    def shown(text: str) -> str:
        return "".join(f"\\x{byte:02x}" for byte in text.encode())

    (tmp_path / "f").touch()
    file = f"3<{shown(str(tmp_path / 'f'))}>"
    lines = [
        f'1 pwrite64({file}, "{shown("early")}", 5, 0) = 5',
        f'1 pwrite64({file}, "{shown("late")}", 4, 5 <unfinished ...>',
        f"2 fsync({file} <unfinished ...>",
        "1 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL} ---",
        "1 <... pwrite64 resumed>) = 4",
        "2 <... fsync resumed>) = 0",
        f'1 pwrite64({file}, "{shown("x")}", 1, 0) = -1 ENOSPC (No space left on device)',
    ]
    disk = Disk(tmp_path)
    disk.run(parse(line.replace(" ", f" {number}.5 ", 1) for number, line in enumerate(lines)))
    disk.after_power_cut(tmp_path / "left")
    assert (tmp_path / "left" / "f").read_bytes() == b"early"


async def test_only_synced_bytes_are_left(tmp_path: Path, logs: Logs) -> None:
    disk = await written(tmp_path, logs)
    disk.after_power_cut(tmp_path / "left")
    assert files(tmp_path / "left") == SYNCED


async def test_unsynced_writes_may_be_left_in_part(tmp_path: Path, logs: Logs) -> None:
    disk = await written(tmp_path, logs)
    seen: dict[str, set[bytes]] = {name: set() for name in SYNCED}
    for seed in range(40):
        left = tmp_path / f"left-{seed}"
        disk.after_power_cut(left, random.Random(seed))
        for name, content in files(left).items():
            seen[name].add(content)
    assert {b"synced.", b"Synced.", b"synced.lost...", b"Synced.lost...", b"synced.lo"} <= seen["blocks"]
    assert {b"", b"unsynced"} < seen["unsynced"]
    assert all(b"unsynced".startswith(content) for content in seen["unsynced"])
    for name in ("o_sync", "untouched", "old", "moved/in it"):
        assert seen[name] == {SYNCED[name]}
