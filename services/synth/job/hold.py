"""A job's hold on its request: what it may still say to the server about the delivery.

The server fences nothing: an ack, a NAK or an `in_progress` under the reply subject of an old delivery acts on the
newest delivery of the message, which another synth may have. So a job whose attempt was superseded sends none of them.
The other synth's ack, or its ack wait if it is dead, decides what becomes of the request.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import NoReturn

import structlog

from orastream.contract.audio_messages import AudioEnd
from orastream.contract.errors import NodeUnavailable
from orastream.jetstream import topology
from orastream.jetstream.pull_consumer import Delivery
from services.synth.job.attempt import Attempt, AudioLost

KEEP_EVERY_S = topology.SYNTH_ACK_WAIT_S / 3
REDELIVER_TIMEOUT_S = 2.0
"""Bound for the question whether the attempt counts, before a NAK: a drain waits for it."""

log = structlog.get_logger()


class Superseded(Exception):
    """Another synth has opened a later attempt: what this one stores counts for no reader."""


class Hold:
    """The delivery of one request, and the attempt that is under way, if any. For one job."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.attempt: Attempt | None = None
        self.superseded = False
        """Another synth has opened a later attempt: the job has ended without a word about the delivery."""

    async def keep(self) -> NoReturn:
        """Keep the request from being delivered again; raises Superseded once the attempt no longer counts."""
        pause_s = KEEP_EVERY_S / 2  # while it waited for its turn it was last kept up to KEEP_EVERY_S ago
        while True:
            await asyncio.sleep(pause_s)
            pause_s = KEEP_EVERY_S
            attempt = self.attempt
            try:
                async with asyncio.timeout(KEEP_EVERY_S):
                    counts = attempt is None or await attempt.counts(proven=False)
            except (NodeUnavailable, TimeoutError, AudioLost) as exc:
                # Without an in_progress a living attempt would be superseded only because an answer was slow.
                log.debug("it is not known whether the attempt counts", error=str(exc))
                counts = True
            if counts:
                await self.delivery.in_progress()
            elif attempt is self.attempt:  # else it was superseded by a newer one of this job
                self._leave()

    async def settled(self, attempt: Attempt, end: AudioEnd) -> AudioEnd:
        """The stored `end` of the attempt, if readers believe it. Raises Superseded, AudioLost, NodeUnavailable.

        Only then may the request be acked and its final report be written.
        """
        if not await attempt.counts(proven=True):
            self._leave()
        return end

    async def let_go(self, attempt: Attempt) -> None:
        """Another attempt is to be opened instead. Raises Superseded, NodeUnavailable.

        Without this check it would take the request from the synth that has superseded this one.
        """
        with contextlib.suppress(AudioLost):
            if not await attempt.counts(proven=False):
                self._leave()
        self.attempt = None

    def _leave(self) -> NoReturn:
        self.superseded = True
        raise Superseded

    async def ack(self) -> None:
        """The request is done with."""
        await self.delivery.ack()

    async def redeliver(self, delay_s: float) -> None:
        """Have the request delivered again after `delay_s`, to any synth.

        If another synth has it already, or if that is not known, nothing is sent: the server delivers it again when the
        ack wait of the newest delivery has run out. Takes REDELIVER_TIMEOUT_S at most.
        """
        try:
            async with asyncio.timeout(REDELIVER_TIMEOUT_S):
                ours = self.attempt is None or await self.attempt.counts(proven=False)
        except (NodeUnavailable, TimeoutError):
            ours = False
        except AudioLost:
            ours = True
        if ours:
            await self.delivery.nak(delay_s)
