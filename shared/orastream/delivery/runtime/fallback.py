"""The second way to OraServer of one session, for utterances that the bridge's own transport cannot deliver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from orastream.contract.messages import Report
from orastream.delivery.rules.end_frames import may_have_chunks
from orastream.delivery.rules.entry import Entry, Stage
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.runtime.context import SessionContext
from orastream.delivery.runtime.links import Links
from orastream.delivery.runtime.utterance_runner import UtteranceRunner
from orastream.delivery.sink import Sink

FIRST_S = 30.0
"""How long after a failure of the own transport the session's utterances begin with the fallback."""


def heard(resumes: Report | None) -> bool:
    """Whether OraServer may have a part of the utterance over the own transport. It must not get that part twice.

    If there is a fallback, a bridge stores a report before it writes anything over its own transport (`own_delivery`).
    """
    return resumes is not None and resumes.fallback is None and resumes.epoch > 0


def own_delivery(entry: Entry, rules: DeliveryRules, now: float, *, must_fence: bool) -> UtteranceDelivery:
    """Return the delivery over the own transport. It resumes that of an earlier owner."""
    resumes = entry.resumes
    return UtteranceDelivery(
        request_seq=entry.sequence,
        rules=replace(rules, falls_back=rules.falls_back and not heard(resumes)),
        now=now,
        delivered=resumes.delivered_chunks if resumes is not None else 0,
        delivered_bytes=resumes.bytes if resumes is not None else None,
        must_fence=must_fence or rules.falls_back,
        asked_at=entry.asked_at,
        sent_before=may_have_chunks(resumes),
        may_be_silent=entry.stored.may_be_silent,
    )


class Fallback:
    """The fallback of one session. `sink` None: there is none. Used from the session's loop only."""

    def __init__(self, sink: Sink | None, wake: Callable[[], None]) -> None:
        self._sink = sink
        self._links = None if sink is None else Links(sink, wake)
        self._first_until = 0.0

    def begins(self, resumes: Report | None, now: float) -> bool:
        """Whether an utterance begins with the fallback: an earlier owner has begun it so, or the own transport has
        failed shortly before.
        """
        if self._sink is None or heard(resumes):
            return False
        return now < self._first_until or (resumes is not None and resumes.fallback is not None)

    def failed(self, now: float) -> None:
        """The own transport has failed."""
        self._first_until = now + FIRST_S

    def runner(self, parts: SessionContext, entry: Entry, now: float) -> UtteranceRunner:
        """Return what delivers the whole utterance, from the stored audio.

        Its first report, before it sends anything, names the fallback, so that a later owner does not send the
        utterance over both.
        """
        sink, links = self._sink, self._links
        assert sink is not None and links is not None, "`begins` and the rules ask for it only if there is one"
        utterance = UtteranceDelivery(
            entry.sequence,
            sink.rules,
            now,
            must_fence=True,
            asked_at=entry.asked_at,
            may_be_silent=entry.stored.may_be_silent,
        )
        if entry.stage is not Stage.DELIVERING:  # cancelled in the round in which the own transport failed
            utterance.cancel()
        return UtteranceRunner(replace(parts, links=links, fallback=sink.transport, progress=None), entry, utterance)

    async def close(self) -> None:
        """Close the links."""
        if self._links is not None:
            await self._links.close()
