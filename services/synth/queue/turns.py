"""Requests give up their slots between two sentences, so that a short request does not wait for a long one.

A request whose listener has more than SYNTH_LEAD_SECONDS to hear is suspended when others need its slot: requests that
have not begun, or suspended ones whose listeners run out of audio earlier. It goes on when a slot is free and nobody
needs it more; at the latest when its listener has four fifths of SYNTH_LEAD_SECONDS left. So its turns are short, it
does not pause for its listener, and of an utterance that is cancelled little was made for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from services.synth.queue.slots import Slots

RESUME_SHARE = 0.8
"""Share of SYNTH_LEAD_SECONDS that a listener has left when its request goes on in any case."""


class SlotTurns:
    """The slots of one synth, as they pass from request to request. For one event loop."""

    def __init__(
        self, slots: Slots, lead_s: float, others_wait: Callable[[], bool], on_free: Callable[[], None]
    ) -> None:
        """`others_wait` says whether a request waits to begin. `on_free` is called when the slots have changed."""
        self.slots = slots
        self.lead_s = lead_s
        self._others_wait = others_wait
        self.on_free = on_free
        self._resumed: dict[int, asyncio.Event] = {}

    def give(self) -> bool:
        """Give a free slot to the suspended request that needs it first. Return whether there was one of each."""
        first = self.slots.first_dry()
        if first is None or not self.slots.free:
            return False
        self.slots.resume(first[1])
        self._resumed[first[1]].set()
        return True

    def needed(self, dry_at: float) -> bool:
        """Whether others need the slot of a request whose listener has audio until `dry_at`."""
        first = self.slots.first_dry()
        return self._others_wait() or (first is not None and first[0] < dry_at)

    async def suspend(
        self, request: int, dry_at: float, sign_every_s: float, show_waiting: Callable[[], Awaitable[None]]
    ) -> None:
        """Suspend the request and return when it has a slot again. Cancel-safe. `show_waiting` is called meanwhile."""
        clock = asyncio.get_running_loop().time
        if not self.slots.suspend(request, dry_at):
            return
        resumed = self._resumed[request] = asyncio.Event()
        resume_at = dry_at - self.lead_s * RESUME_SHARE
        sign_at = clock() + sign_every_s
        try:
            self.on_free()
            while not resumed.is_set() and clock() < resume_at:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(min(sign_at, resume_at)):
                        await resumed.wait()
                if clock() >= sign_at:
                    sign_at = clock() + sign_every_s
                    await show_waiting()
        finally:
            del self._resumed[request]
            self.slots.resume(request)
            self.on_free()


class SlotTurn:
    """The turns of one request. `sign_every_s` is the interval of the `waiting` messages while it is suspended."""

    def __init__(self, turns: SlotTurns, request: int, sign_every_s: float) -> None:
        self._turns = turns
        self._request = request
        self._sign_every_s = sign_every_s
        self.heard_live = False
        """Whether the listener hears the audio while it is made. If not, the request keeps its slot."""

    def waits(self, waits: bool) -> None:
        """The request begins (`waits`) or stops waiting for more of its text."""
        self._turns.slots.wait(self._request, waits)
        if waits:
            self._turns.on_free()

    async def before_sentence(self, dry_at: float, show_waiting: Callable[[], Awaitable[None]]) -> None:
        """Give the slot up while others need it more. Return when the next sentence may be spoken. Cancel-safe.

        `dry_at`, by the event loop's clock, is when the listener has heard all audio that was sent.
        """
        lead_s = dry_at - asyncio.get_running_loop().time()
        if self.heard_live and lead_s > self._turns.lead_s and self._turns.needed(dry_at):
            await self._turns.suspend(self._request, dry_at, self._sign_every_s, show_waiting)
