"""The work of a synth: pulls requests, takes them in turn by session, and runs a job for each one.

It queues up to `look_ahead` requests. The stream has them in the order of publishing, so with a short queue one session
with many requests would hide the sessions behind it. It keeps AHEAD_PER_SLOT for each slot (`in_progress`) and naks the
others every SHARE_EVERY_S, for other synths. A job that waits for streamed text takes no slot, nor one whose listener
has enough audio while others wait (`queue.turns`). A request that cannot be spoken is refused at once, without a slot
(`judge`). With TTS_MAX_BACKLOG_SECONDS a request that will not be claimed within its ttl ends early. While no engine
process can speak it pulls and begins nothing, and releases what it has (`queue.engine_absence`). At a drain it naks the
queue and the jobs that wait for text at once; the others may end within `Drain.work_s`, then it naks the rest.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import structlog

from orastream.base import tasks
from orastream.contract.errors import OrastreamError
from orastream.contract.names import SYNTH
from orastream.jetstream.pull_consumer import Delivery, PullConsumer
from services.synth.job.context import SynthContext
from services.synth.job.ending import AGAIN_S
from services.synth.job.hold import KEEP_EVERY_S, REDELIVER_TIMEOUT_S, Hold
from services.synth.job.job import Job
from services.synth.judge import Judge
from services.synth.queue.engine_absence import EngineAbsence, Released
from services.synth.queue.fair_queue import FairQueue
from services.synth.queue.load_report import LoadReport
from services.synth.queue.queued_request import QueuedRequest, queued_request
from services.synth.queue.rescue import Rescue
from services.synth.queue.slots import Slots
from services.synth.queue.turns import SlotTurn, SlotTurns

AHEAD_PER_SLOT = 4
"""Queued requests that a synth keeps for each slot."""
SHARE_EVERY_S = 1.0
"""Seconds between two checks for queued requests beyond AHEAD_PER_SLOT, which get a nak."""
SURPLUS_NAK_DELAY_S = 3.0
"""Delay of the nak for the surplus of a full queue, so that the consumer delivers the requests behind it first."""

log = structlog.get_logger()


class Synth:
    """`await run(stop)` serves until `stop` is set. For one event loop."""

    def __init__(self, context: SynthContext, can_speak: Callable[[], bool]) -> None:
        """`can_speak` returns whether an engine process can speak now; call `go_on` when it may differ."""
        self._context = context
        self._can_speak = can_speak
        settings = context.settings
        self._slots = Slots(settings.synth_slots, settings.synth_open_texts, settings.synth_suspended)
        self._turns = SlotTurns(
            self._slots, settings.synth_lead_seconds, others_wait=self._others_wait, on_free=self.go_on
        )
        self._queue: FairQueue[QueuedRequest] = FairQueue()
        self._working: dict[int, asyncio.Task[None]] = {}
        self._held: dict[int, Delivery] = {}
        """The deliveries of the requests with a job, by sequence."""
        self._delivered_again: dict[int, Delivery] = {}
        """Newer deliveries of requests that have a job, by sequence."""
        self._draining = False
        self._short_tasks: set[asyncio.Task[None]] = set()
        self._pull_consumer = PullConsumer(
            context.js.broker, context.js.names.sessions_stream, SYNTH, self._on_delivery, self._capacity
        )
        name = f"{SYNTH}-{uuid.uuid4().hex[:12]}"
        self._load = LoadReport(context.js, name, self._slots, self._queue, context.pace, can_speak)
        self._judge = Judge(context, self._queue, self._turn, self._start_jobs, self._pull_consumer.room)
        self._rescue = Rescue(context.js, self._holds)

    def lacking(self) -> str | None:
        """Why this synth cannot pull requests now, or None."""
        return self._pull_consumer.lacking()

    @property
    def working(self) -> int:
        """Number of requests with a job."""
        return len(self._working)

    @property
    def waiting(self) -> int:
        """Number of requests that were pulled and have no job yet."""
        return len(self._queue)

    @property
    def wait_s(self) -> float:
        """Estimated seconds until a request stored now gets a slot of any synth."""
        return self._load.wait_s()

    @property
    def open_texts(self) -> int:
        """Number of jobs that wait for streamed text."""
        return len(self._slots.waiting)

    @property
    def suspended(self) -> int:
        """Number of jobs whose listener has enough audio while others speak."""
        return len(self._slots.suspended)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then drain: stop pulling → nak the queue → let jobs end → nak the rest.

        A cancel drains, too. Raises what a task of the service raises.
        """
        start = asyncio.create_task
        pull, share = start(self._pull_consumer.run(), name="pull"), start(self._share(), name="share")
        keep, rescue = start(self._keep(), name="keep"), start(self._rescue.run(), name="rescue")
        load = start(self._load.run(), name="load")
        stopped = start(stop.wait(), name="stop")
        try:
            serving = {pull, keep, share, rescue, load, stopped}
            done, _ = await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
        finally:
            self._draining = True
            await tasks.end(pull, share, load, stopped)
            for request in self._queue.clear():
                await request.delivery.nak(0)
            self.go_on()  # the suspended ones: nobody waits any more
            await self._finish()
            if self._short_tasks:
                await asyncio.wait(self._short_tasks, timeout=REDELIVER_TIMEOUT_S)
            await tasks.end(keep, rescue, *self._short_tasks)

    async def _finish(self) -> None:
        await tasks.end(*(self._working[sequence] for sequence in self._slots.waiting))  # another synth can wait
        if self._working:
            _, late = await asyncio.wait(set(self._working.values()), timeout=self._context.settings.drain.work_s)
            await tasks.end(*late)

    def _capacity(self) -> int:
        if not self._can_speak():
            return 0
        begin = max(0, self._slots.slots - self._slots.taken)
        return max(self._context.settings.look_ahead, self._ahead) + begin - len(self._queue) - self._judge.refusing

    @property
    def _ahead(self) -> int:
        return AHEAD_PER_SLOT * self._slots.slots

    def _on_delivery(self, delivery: Delivery) -> None:
        if delivery.sequence in self._working:
            # The job's ack counts for both deliveries. But a superseded job sends no ack, and the synth that
            # superseded it may be dead: `_work` then begins a job for this delivery.
            self._delivered_again[delivery.sequence] = delivery
            return
        if self._judge.refuses(delivery.sequence):
            return
        if self._draining:
            self._spawn(delivery.nak(0))
            return
        session = self._context.js.names.session_of(delivery.subject)
        if session is None:
            self._spawn(delivery.discard(self._context.js))
            return
        request = queued_request(session, delivery, self._context.js.names, self._context.settings)
        self._queue.put(session, delivery.sequence, request, request.caller)
        if delivery.delivered > 1:
            self._spawn(self._judge.look_up(request))
        self._load.queued(request)
        self._start_jobs()
        self._spawn(self._judge.read(request))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a short task. A drain waits for it up to REDELIVER_TIMEOUT_S."""
        task = asyncio.create_task(work)
        self._short_tasks.add(task)
        task.add_done_callback(self._short_tasks.discard)

    def _start_jobs(self) -> None:
        """Begin or resume what comes next: first what a synth that is gone had claimed, also without a free slot if its
        listener hears it already. Then the free slots go to sessions of which nothing is in progress, to suspended
        requests, and to further requests of sessions.
        """
        if not self._can_speak():
            return
        while (request := self._queue.take(_was_heard)) is not None:
            self._begin(request)
        while self._slots.free:
            request = self._queue.take(_was_claimed) or self._queue.take(self._has_turn)
            if request is None and self._turns.give():
                continue
            if request is None:
                request = self._queue.take(self._may_begin)
            if request is None:
                return
            self._begin(request)

    def _begin(self, request: QueuedRequest) -> None:
        delivery = request.delivery
        hold = Hold(delivery)
        turn = self._turn(request)
        job = Job(self._context, request.stored, hold, turn, cancelled=self._load.cancelled(request))
        if request.heard_live:
            turn.hears_live()
        self._slots.begin(delivery.sequence, streamed=request.streams_text)
        self._held[delivery.sequence] = delivery
        task = asyncio.create_task(self._work(job, hold, turn), name=f"job {delivery.sequence}")
        self._working[delivery.sequence] = task
        self._load.began(request)
        self._rescue.changed()

    def _has_turn(self, request: QueuedRequest) -> bool:
        return self._may_begin(request) and not self._turns.in_progress(request.session)

    def _may_begin(self, request: QueuedRequest) -> bool:
        return self._slots.room_for_text or not request.streams_text

    def _others_wait(self, session: str) -> bool:
        return self._queue.can_take(lambda request: request.session != session and self._has_turn(request))

    def _holds(self) -> Iterator[Delivery]:
        yield from self._held.values()
        yield from (request.delivery for request in self._queue.all()[: self._ahead])

    async def _work(self, job: Job, hold: Hold, turn: SlotTurn) -> None:
        delivery = hold.delivery
        try:
            await job.run()
        except asyncio.CancelledError:
            # In a separate task: `tasks.end` cancels this task again after half a second.
            self._spawn(hold.redeliver(0))
            raise
        except OrastreamError as exc:
            log.warning("request not finished; nak", sequence=delivery.sequence, error=str(exc))
            await hold.redeliver(AGAIN_S)
        except Exception:  # noqa: BLE001 - an error in one job must not end the other jobs
            log.exception("request failed; nak", sequence=delivery.sequence)
            self._context.metrics.done("internal")
            await hold.redeliver(AGAIN_S)
        finally:
            del self._working[delivery.sequence], self._held[delivery.sequence]
            self._rescue.changed()
            self._slots.end(delivery.sequence)
            turn.ended()
            self._load.ended(delivery.sequence)
            again = self._delivered_again.pop(delivery.sequence, None)
            if again is not None and hold.superseded:
                self._on_delivery(again)
            self.go_on()

    def go_on(self) -> None:
        """Begin what may begin: the queue, the slots or the engine processes that can speak have changed."""
        self._start_jobs()
        self._load.changed()
        self._pull_consumer.room()

    def _turn(self, request: QueuedRequest) -> SlotTurn:
        every_s = self._context.settings.sign_every_s
        return SlotTurn(self._turns, request.session, request.delivery.sequence, every_s)

    async def _keep(self) -> None:
        """Send `in_progress` for queued requests, so that the server does not redeliver them. Jobs do it themselves."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            for request in self._queue.all():
                await request.delivery.in_progress()

    async def _share(self) -> None:
        """Nak the queued requests beyond AHEAD_PER_SLOT (without an engine all): the next synth with room gets them."""
        absence = EngineAbsence()
        while True:
            await asyncio.sleep(SHARE_EVERY_S)
            released = absence.look(self._can_speak(), asyncio.get_running_loop().time())
            if released is Released.ALL and self._working:
                log.warning("no engine process can speak; its requests are released", requests=len(self._working))
                for job in self._working.values():
                    job.cancel()
            if self._context.settings.tts_max_backlog_seconds is not None:
                for request, wait_s in self._load.hopeless(self._may_begin):
                    self._spawn(self._judge.expire(request, wait_s))
            if not self._queue:
                continue
            full = released is Released.NOTHING and self._capacity() <= 0
            ahead = self._ahead if released is Released.NOTHING else 0
            for request in self._queue.surplus(ahead, self._may_begin, _is_judged):
                await request.delivery.nak(SURPLUS_NAK_DELAY_S if full else 0)
                self._rescue.changed()
            self._load.changed()
            self._pull_consumer.room()


def _was_claimed(request: QueuedRequest) -> bool:
    return request.claimed


def _was_heard(request: QueuedRequest) -> bool:
    return request.claimed and request.heard_live


def _is_judged(request: QueuedRequest) -> bool:
    return request.judging
