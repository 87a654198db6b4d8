"""The lines of `orastream watch` for deliveries that run: what was sent, acknowledged and played of each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from rich.console import Console
from rich.live import Live
from rich.text import Text

from orastream.base import tasks
from orastream.broker import Headers
from orastream.cli import terminal
from orastream.client.reads import Reads
from orastream.contract import subjects
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.errors import Undecodable

MAX_LINES = 8
SILENT_S = 6.0
"""After so long without a message a delivery is not shown any more: its last message is lost, or its bridge ended."""
DRAW_S = 0.1
"""The shortest time between two drawings."""
BAR_CHARS = 24


class ProgressBoard:
    """The newest progress of each delivery. Pure; monotonic seconds."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], tuple[DeliveryProgress, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._newest)

    def received(self, progress: DeliveryProgress, now: float) -> None:
        """A message has come. With more than twice MAX_LINES deliveries the one without news for longest is dropped."""
        key = progress.session_id, progress.request_id
        if progress.done:
            self._newest.pop(key, None)
            return
        self._newest[key] = progress, now
        if len(self._newest) > 2 * MAX_LINES:
            del self._newest[min(self._newest, key=lambda one: self._newest[one][1])]

    def lines(self, now: float) -> list[Text]:
        """The lines to show: MAX_LINES at most, in the order in which the requests were stored."""
        self._newest = {key: known for key, known in self._newest.items() if now < known[1] + SILENT_S}
        shown = sorted((progress for progress, _ in self._newest.values()), key=lambda one: one.request_seq)
        lines = [progress_line(progress) for progress in shown[:MAX_LINES]]
        if len(shown) > MAX_LINES:
            lines.append(Text("… and more", "dim"))
        return lines


def progress_line(progress: DeliveryProgress) -> Text:
    """One line with a bar: played, acknowledged and sent, of the whole utterance if its length is known."""
    whole_ms = max(progress.total_ms or progress.sent_ms, progress.sent_ms, 1)
    reached = (progress.played_ms or 0, progress.acked_ms, progress.sent_ms)
    played, acked, sent = (min(round(BAR_CHARS * ms / whole_ms), BAR_CHARS) for ms in reached)
    acked, sent = max(played, acked), max(played, acked, sent)
    bar = [("█" * played, "green"), ("▓" * (acked - played), "cyan"), ("▒" * (sent - acked), "dim")]
    parts = [
        "played ?" if progress.played_ms is None else f"played {progress.played_ms / 1000:.1f} s",
        f"acknowledged {progress.acked_ms / 1000:.1f} s",
        f"sent {progress.sent_ms / 1000:.1f} s",
    ]
    if progress.total_ms is not None:
        parts[-1] += f" of {progress.total_ms / 1000:.1f} s"
    if progress.retransmitted_bytes:
        parts.append(f"{progress.retransmitted_bytes:,} bytes sent again")
    name = f" {progress.session_id}/{progress.request_id} "
    return terminal.words(*bar, "·" * (BAR_CHARS - sent), name, (" · ".join(parts), "dim"))


@contextlib.asynccontextmanager
async def progress_lines(out: Console, reads: Reads, session_id: str | None, *, shown: bool) -> AsyncIterator[None]:
    """Show the deliveries of a session, or of all, at the end of the terminal while the context is open.

    What is printed to `out` meanwhile appears above them. Not on a terminal, or if not `shown`: nothing is shown.
    """
    if not (shown and out.is_terminal):
        yield
        return
    board, changed, loop = ProgressBoard(), asyncio.Event(), asyncio.get_running_loop()

    def on_message(_subject: str, _reply: str, data: bytes, _headers: Headers) -> None:
        with contextlib.suppress(Undecodable):
            board.received(DeliveryProgress.decode(data), loop.time())
            changed.set()

    async def draw(live: Live) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0 if board else None):  # some may have been silent for too long
                    await changed.wait()
            changed.clear()
            live.update(Text("\n").join(board.lines(loop.time())), refresh=True)
            await asyncio.sleep(DRAW_S)

    names = reads.js.names
    subject = names.progress("*" if session_id is None else subjects.token(session_id, "sessionId"), "*")
    subscription = await reads.broker.subscribe(subject, on_message)
    try:
        with Live(console=out, auto_refresh=False, transient=True) as live:
            drawing = asyncio.create_task(draw(live), name="progress lines")
            try:
                yield
            finally:
                await tasks.end(drawing)
    finally:
        await subscription.close()
