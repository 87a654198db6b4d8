"""Requests give up their slots between two sentences, so that a short request does not wait for a long one.

A request whose listener has more than SYNTH_LEAD_SECONDS to hear is suspended when others need its slot: requests of
other sessions that have not begun, or suspended ones whose listeners run out of audio earlier. It goes on when a slot
is free and nobody needs it more; at the latest when its listener has four fifths of SYNTH_LEAD_SECONDS left. So its
turns are short, it does not pause for its listener, and of an utterance that is cancelled little was made for nothing.

A session is heard one request after the other. So of a session's requests in progress only the first one has a listener
now; the others can wait as long as others need their slots.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable

from services.synth.queue.slots import Slots

RESUME_SHARE = 0.8
"""Share of SYNTH_LEAD_SECONDS that a listener has left when its request goes on in any case."""

ShowWaiting = Callable[[], Awaitable[None]]


class SlotTurns:
    """The slots of one synth, as they pass from request to request. For one event loop."""

    def __init__(
        self, slots: Slots, lead_s: float, others_wait: Callable[[str], bool], on_free: Callable[[], None]
    ) -> None:
        """`others_wait` says whether a request of another session than the named one waits to begin. `on_free` is
        called when the slots have changed.
        """
        self.slots = slots
        self.lead_s = lead_s
        self.on_free = on_free
        self._others_wait = others_wait
        self._resumed: dict[int, asyncio.Event] = {}
        self._live: dict[str, list[SlotTurn]] = {}
        """The requests in progress whose listeners hear them live, by session, in the order of the requests."""

    def in_progress(self, session: str) -> bool:
        """Whether a request of the session that is heard live is in progress."""
        return session in self._live

    def begin(self, turn: SlotTurn) -> None:
        """A request that is heard live is in progress from now on."""
        turns = self._live.setdefault(turn.session, [])
        turns.append(turn)
        turns.sort(key=lambda one: one.request)

    def end(self, turn: SlotTurn) -> None:
        """The request has ended. The next one of its session has a listener from now on."""
        turns = self._live.get(turn.session, [])
        if turn not in turns:
            return
        turns.remove(turn)
        if not turns:
            del self._live[turn.session]
        elif (resumed := self._resumed.get(turns[0].request)) is not None:
            resumed.set()

    def first(self, turn: SlotTurn) -> bool:
        """Whether the listener hears this request now: all earlier ones of the session have ended."""
        return self._live.get(turn.session, [turn])[0] is turn

    def give(self) -> bool:
        """Give a free slot to the suspended request that needs it first. Return whether there was one of each."""
        first = self.slots.first_dry()
        if first is None or not self.slots.free:
            return False
        self.slots.resume(first[1])
        self._resumed[first[1]].set()
        return True

    def needed(self, session: str, dry_at: float) -> bool:
        """Whether others need the slot of a request of that session whose listener has audio until `dry_at`."""
        first = self.slots.first_dry()
        return self._others_wait(session) or (first is not None and first[0] < dry_at)

    async def suspend(
        self, request: int, dry_at: float, until: float, sign_every_s: float, show_waiting: ShowWaiting
    ) -> None:
        """Suspend the request and return when it has a slot again, at the latest at `until`. Cancel-safe.

        `show_waiting` is called meanwhile.
        """
        clock = asyncio.get_running_loop().time
        if not self.slots.suspend(request, dry_at):
            return
        resumed = self._resumed[request] = asyncio.Event()
        resume_at = min(dry_at - self.lead_s * RESUME_SHARE, until)
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

    def __init__(self, turns: SlotTurns, session: str, request: int, sign_every_s: float) -> None:
        self.session = session
        self.request = request
        """The request's sequence."""
        self._turns = turns
        self._sign_every_s = sign_every_s
        self._heard_live = False

    def hears_live(self) -> None:
        """Its listener hears the audio while it is made. Without this call the request keeps its slot."""
        if not self._heard_live:
            self._heard_live = True
            self._turns.begin(self)

    def ended(self) -> None:
        """The request is not in progress any more, or nobody hears it while it is made. Idempotent."""
        self._heard_live = False
        self._turns.end(self)

    def waits(self, waits: bool) -> None:
        """The request begins (`waits`) or stops waiting for more of its text."""
        self._turns.slots.wait(self.request, waits)
        if waits:
            self._turns.on_free()

    def keeps_slot(self, dry_at: float) -> bool:
        """Whether the next sentence may be spoken now; else `before_sentence` would give the slot up.

        `dry_at` is as for `before_sentence`.
        """
        if not self._heard_live:
            return True
        turns = self._turns
        if not turns.first(self):
            dry_at = math.inf
        return dry_at - asyncio.get_running_loop().time() <= turns.lead_s or not turns.needed(self.session, dry_at)

    async def before_sentence(self, dry_at: float, show_waiting: ShowWaiting, *, until: float = math.inf) -> None:
        """Give the slot up while others need it more. Return when the next sentence may be spoken, at the latest at
        `until`. Cancel-safe.

        Times are of the event loop's clock. `dry_at` is when a listener who began with the request has heard all audio
        that was sent.
        """
        turns = self._turns
        if asyncio.get_running_loop().time() >= until or self.keeps_slot(dry_at):
            return
        if not turns.first(self):
            dry_at = math.inf
        await turns.suspend(self.request, dry_at, until, self._sign_every_s, show_waiting)
