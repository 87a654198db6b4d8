"""A job's delivery: sends its ack, nak and `in_progress` only while the job's attempt still counts.

The server does not fence old deliveries: an ack, a nak or an `in_progress` to the reply subject of an old delivery acts
on the newest delivery of the message, which another synth may have. So a job whose attempt was superseded sends none of
them. The other synth acks the request; if that synth is dead, the server redelivers the request after the ack wait.
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
"""Timeout for the check whether the attempt counts, before a nak. A drain waits for this check."""

log = structlog.get_logger()


class Superseded(Exception):
    """Another synth has opened a later attempt: readers ignore what this one stores."""


class Hold:
    """The delivery of one request, and the attempt in progress, if any. For one job."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.attempt: Attempt | None = None
        self.superseded = False
        """Another synth has opened a later attempt. The job then ends without ack or nak."""

    async def keep(self) -> NoReturn:
        """Send `in_progress` every KEEP_EVERY_S, so that the server does not redeliver the request. Cancel-safe.

        Raises Superseded when the attempt no longer counts.
        """
        pause_s = KEEP_EVERY_S / 2  # the queue's last in_progress may be up to KEEP_EVERY_S old
        while True:
            await asyncio.sleep(pause_s)
            pause_s = KEEP_EVERY_S
            attempt = self.attempt
            try:
                async with asyncio.timeout(KEEP_EVERY_S):
                    counts = attempt is None or await attempt.counts(proven=False)
            except (NodeUnavailable, TimeoutError, AudioLost) as exc:
                # Without in_progress, a slow answer alone would let another synth supersede this attempt.
                log.debug("cannot check whether the attempt counts", error=str(exc))
                counts = True
            if counts:
                await self.delivery.in_progress()
            elif attempt is self.attempt:  # else a newer attempt of this job superseded it
                self._leave()

    async def confirmed(self, attempt: Attempt, end: AudioEnd) -> AudioEnd:
        """Return the stored `end` if the attempt still counts. Raises Superseded, AudioLost, NodeUnavailable.

        Only after this may the job ack the request and write its final report.
        """
        if not await attempt.counts(proven=True):
            self._leave()
        return end

    async def forget(self, attempt: Attempt) -> None:
        """Forget the attempt before the job opens another one. Raises Superseded, NodeUnavailable.

        Without this check the new attempt would take the request from the synth that has superseded this one.
        """
        with contextlib.suppress(AudioLost):
            if not await attempt.counts(proven=False):
                self._leave()
        self.attempt = None

    def _leave(self) -> NoReturn:
        self.superseded = True
        raise Superseded

    async def ack(self) -> None:
        """Ack the request."""
        await self.delivery.ack()

    async def redeliver(self, delay_s: float) -> None:
        """Nak the request: the server redelivers it after `delay_s`, to any synth.

        If another synth has the request, or if that is unknown, no nak is sent: the server redelivers the request after
        the ack wait of its newest delivery. Takes at most REDELIVER_TIMEOUT_S.
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
