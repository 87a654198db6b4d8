"""Measures how long the event loop waits while a large lexicon is read: as on SIGHUP.

`python -m tests.bench.lexicon_reload` prints the seconds that it takes, and the longest wait of a task that
sleeps for 1 ms again and again, as the audio of other requests would wait. The file has 9 999 words.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from services.synth.lexicon.file import read_lexicon

TRIES = 3
_ENGINES = {"espeak"}


def large_lexicon(folder: Path) -> Path:
    """Writes a file of nearly MAX_BYTES bytes."""
    path = folder / "lexicon.yaml"
    entry = '{reading: 가나다라 마바사아, espeak: "[[w\'In]]", case: exact}'
    path.write_text("ko:\n" + "".join(f"  product-{number}: {entry}\n" for number in range(9_999)))
    return path


async def longest_wait_s(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Returns the seconds that the work takes, and the longest wait meanwhile."""
    longest_s = 0.0

    async def tick() -> None:
        nonlocal longest_s
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            longest_s = max(longest_s, time.monotonic() - began)

    ticking = asyncio.create_task(tick())
    began = time.monotonic()
    await work()
    took_s = time.monotonic() - began
    await asyncio.sleep(0.01)
    ticking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ticking
    return took_s, longest_s


async def main() -> None:
    """Prints a line for each try."""
    with tempfile.TemporaryDirectory() as folder:
        path = large_lexicon(Path(folder))
        print(f"{path.stat().st_size} bytes")
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "nothing": lambda: asyncio.sleep(1),
            "a lexicon is read": lambda: asyncio.to_thread(read_lexicon, path, "espeak", _ENGINES),
        }
        for name, work in ways.items():
            for _ in range(TRIES):
                took_s, longest_s = await longest_wait_s(work)
                print(f"{name}: took {took_s:.2f} s, longest wait {longest_s * 1e3:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
