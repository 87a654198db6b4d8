"""Decides about requests without a slot: refuses those that cannot be spoken, and finds out which ones were claimed
before, and which ones will not be spoken in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from orastream.contract.errors import OrastreamError
from orastream.contract.stored_requests import token_of
from services.synth.job.context import SynthContext
from services.synth.job.ending import AGAIN_S
from services.synth.job.hold import Hold
from services.synth.job.job import Job
from services.synth.queue.claim import problem_of
from services.synth.queue.fair_queue import FairQueue
from services.synth.queue.queued_request import QueuedRequest
from services.synth.queue.turns import SlotTurn

AT_ONCE = 16
"""Maximum number of requests that are looked up, refused or ended early at the same time."""
LOOK_UP_AGAIN_S = 5.0
"""How long a request that was not claimed is not looked up again when it is delivered again."""
MAX_REMEMBERED = 4096
MAX_SPEAKABLE = 65_536
"""Requests that are remembered as such that can be spoken: a full queue gets the same ones again and again."""

log = structlog.get_logger()


class Judge:
    """The decisions about the requests of one synth. For one event loop."""

    def __init__(
        self,
        context: SynthContext,
        queue: FairQueue[QueuedRequest],
        turn_of: Callable[[QueuedRequest], SlotTurn],
        on_claimed: Callable[[], None],
        on_refused: Callable[[], None],
    ) -> None:
        """`on_claimed` is called when a request of the queue was found to be claimed, `on_refused` after a refusal."""
        self._context = context
        self._queue = queue
        self._turn_of = turn_of
        self._on_claimed = on_claimed
        self._on_refused = on_refused
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._look_up_at: dict[int, float] = {}
        """When a request that was not claimed may be looked up again, by sequence."""
        self._reading = asyncio.Lock()
        self._speakable: set[int] = set()
        self._refusing: set[int] = set()

    @property
    def refusing(self) -> int:
        """Number of requests whose refusal has not ended yet."""
        return len(self._refusing)

    def refuses(self, sequence: int) -> bool:
        """Whether a request is being refused: the ack of its earlier delivery counts for a later one, too."""
        return sequence in self._refusing

    async def read(self, request: QueuedRequest) -> None:
        """Read a request of the queue, and refuse it if it cannot be spoken: nothing that can be spoken waits for it.

        One is read in each round of the event loop, since a read may take 4 ms: a full queue of them at once would hold
        up the audio of all utterances for seconds. Raises nothing. After a cancel the server delivers it again.
        """
        if request.delivery.sequence in self._speakable:
            return
        async with self._reading:
            refused = self._takes_out(request)
            await asyncio.sleep(0)
        if refused:
            await self._refuse(request)

    def _takes_out(self, request: QueuedRequest) -> bool:
        """Read the request; whether it was in the queue, and was taken out because it cannot be spoken."""
        sequence = request.delivery.sequence
        if not self._queue.has(request.session, sequence, request):  # it has a job, which refuses it, or was nak'ed
            return False
        if problem_of(request.stored, self._context.engine.name) is None:
            if len(self._speakable) >= MAX_SPEAKABLE:
                self._speakable.clear()
            self._speakable.add(sequence)
            return False
        self._refusing.add(sequence)
        return self._queue.discard(request.session, sequence, request)

    async def _refuse(self, request: QueuedRequest) -> None:
        hold, sequence = Hold(request.delivery), request.delivery.sequence
        try:
            async with self._at_once:
                await self._job(request, hold).run()
        except OrastreamError as exc:
            log.warning("request not refused; nak", sequence=sequence, error=str(exc))
            await hold.redeliver(AGAIN_S)
        except Exception:  # noqa: BLE001 - an error with one request must not be lost in its task
            log.exception("request not refused; nak", sequence=sequence)
            await hold.redeliver(AGAIN_S)
        finally:
            self._refusing.discard(sequence)
            self._on_refused()

    async def look_up(self, request: QueuedRequest) -> None:
        """Find out whether a request that was delivered before was claimed: its listener may hear it already.

        Raises nothing.
        """
        sequence, now = request.delivery.sequence, asyncio.get_running_loop().time()
        if now < self._look_up_at.get(sequence, 0.0):
            return
        try:
            async with self._at_once:
                token = token_of(request.delivery)  # not `stored`: many come at once when a synth has died
                request.claimed = await self._context.reports.read(request.session, token) is not None
        except OrastreamError as exc:
            log.debug("it is not known whether a request was claimed", sequence=sequence, error=str(exc))
            return
        if request.claimed:
            self._on_claimed()
            return
        if len(self._look_up_at) >= MAX_REMEMBERED:
            self._look_up_at.clear()
        self._look_up_at[sequence] = now + LOOK_UP_AGAIN_S

    async def expire(self, request: QueuedRequest, wait_s: float) -> None:
        """End a request that no synth will claim in time, unless it was claimed before: then it keeps its place.

        Raises nothing.
        """
        hold, sequence, ours = Hold(request.delivery), request.delivery.sequence, False
        why = f"not claimed within ttlSeconds: about {wait_s:.0f} s of work are ahead of it; send it again later"
        try:
            async with self._at_once:
                job = self._job(request, hold)
                request.claimed = await job.claimed()
                ours = not request.claimed and self._queue.discard(request.session, sequence, request)
                if ours:
                    await job.expire(why)
        except OrastreamError as exc:
            log.warning("request not expired early", sequence=sequence, error=str(exc))
            if ours:
                await hold.redeliver(AGAIN_S)
        except Exception:  # noqa: BLE001 - an error with one request must not be lost in its task
            log.exception("request not expired early", sequence=sequence)
            if ours:
                await hold.redeliver(AGAIN_S)
        finally:
            request.judging = False

    def _job(self, request: QueuedRequest, hold: Hold) -> Job:
        return Job(self._context, request.stored, hold, self._turn_of(request))
