"""Settles the wake-ups that need no owner of their session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum

from orastream.contract import subjects
from orastream.contract.messages import Transport
from orastream.contract.stored_requests import StoredCancel, outline_of, read_stored
from orastream.delivery.rules.wakeup import Step, by_claim, cancel_is_applied, first_step, if_stored
from orastream.delivery.runtime.other_bridges import OtherBridges
from orastream.delivery.runtime.ownership import Owners
from orastream.delivery.runtime.wakeups import NAK_DELAY_S
from orastream.delivery.sink import Sink
from orastream.jetstream.api import JetStream
from orastream.jetstream.heard_store import HeardStore
from orastream.jetstream.pull_consumer import Delivery
from orastream.jetstream.report_store import ReportStore
from orastream.jetstream.session_events import next_request


class Need(Enum):
    """What a wake-up needs."""

    NOTHING = "it was acked or refused"
    OWNER = "the session must have an owner"
    PRESENT_OWNER = "a cancel of a request that is stored, or that may play: the owner applies it, if there is one"
    """Likewise a request for others that supersedes."""


class WakeupJudge:
    """Judges the wake-ups of a bridge that delivers over `transport`."""

    def __init__(
        self,
        js: JetStream,
        transport: Transport,
        *,
        max_text_chars: int,
        player: Callable[[str], Awaitable[object | None]] | None = None,
        announces: Callable[[], bool] = lambda: False,
        records: bool = False,
    ) -> None:
        """`player` returns the living owner of a session, which may have to end what plays; None: nobody has to.

        `announces`: whether OraServer may have to know each cancel, as it may speak protocol v2.
        `records`: what was heard is recorded. An owner writes what a cancel has left of the records that are not done.
        """
        self._js = js
        self._player = player
        self._announces = announces
        self._heard = HeardStore(js) if records else None
        self._transport = transport
        self._reports = ReportStore(js)
        self._others = OtherBridges(js)
        self._max_text_chars = max_text_chars

    @classmethod
    def of(cls, js: JetStream, sink: Sink, owners: Owners, max_text_chars: int) -> WakeupJudge:
        """Return the judge of a bridge with this sink."""
        return cls(
            js,
            sink.transport,
            max_text_chars=max_text_chars,
            player=owners.owner if sink.rules.end_frames else None,
            announces=lambda: sink.record.announces_cancels,
            records=sink.rules.heard_records,
        )

    def is_for_another(self, delivery: Delivery) -> bool:
        """Whether it is a request that names the other transport, so that it needs an ack alone. Cheaper than `need`.

        Half of the wake-ups of each kind of bridge are such ones. The bridge of that transport decides whether the
        request can be read.
        """
        if subjects.is_cancel(delivery.subject):
            return False
        outline = outline_of(delivery)
        step = first_step(outline.stated_transport, self._transport, delivery.delivered)
        return step is Step.ACK and not outline.supersedes

    async def need(self, session: str, delivery: Delivery) -> Need:
        """Ack or nak the wake-up if it needs no owner. Returns what it needs. Raises NodeUnavailable."""
        stored = read_stored(
            self._js.names,
            delivery.subject,
            delivery.sequence,
            delivery.time_s,
            delivery.data,
            max_text_chars=self._max_text_chars,
        )
        if isinstance(stored, StoredCancel):
            return await self._settle_cancel(session, delivery)
        stated = stored.stated_transport
        asks = stored.request is not None and stored.request.supersede
        if asks and stated not in (None, self._transport):  # as for a cancel
            if (need := await self._needs_owner(session, delivery)) is not Need.NOTHING:
                return need
        step = first_step(stated, self._transport, delivery.delivered)
        if step is Step.ASK_STORED:
            message = await self._js.get(self._js.names.sessions_stream, delivery.sequence)
            step = if_stored(stated, message is not None)
        if step is Step.ASK_REPORT:
            state = await self._reports.read(session, stored.token)
            step = by_claim(state.report.transport if state is not None else None, self._transport)
        if step is Step.ACK:
            await delivery.ack()
        elif step is Step.NAK:
            await delivery.nak(NAK_DELAY_S)
        return Need.OWNER if step is Step.OWN else Need.NOTHING

    async def _settle_cancel(self, session: str, delivery: Delivery) -> Need:
        """Delete a cancel that is applied. The owner of the requests before it, or of what plays, applies any other.

        An owner also has OraServer drop what is delivered and not played.
        """
        if (need := await self._needs_owner(session, delivery)) is not Need.NOTHING:
            return need
        if self._transport == "http" and (await self._others.announce_cancels() or await self._is_recorded(session)):
            await delivery.ack()  # a ws_bridge has a wake-up of its own, and deletes it when it is carried out
            return Need.NOTHING
        await self._js.delete(self._js.names.sessions_stream, delivery.sequence)
        await delivery.ack()
        return Need.NOTHING

    async def _is_recorded(self, session: str) -> bool:
        """Whether a ws_bridge finishes the records of the session, for which it must know the cancel."""
        return await self._plays(session) and await self._others.live()

    async def _plays(self, session: str) -> bool:
        """Whether a record of what was heard is not done: of an owner that lives, or of one that has left it."""
        return self._heard is not None and await self._heard.plays(session)

    async def _needs_owner(self, session: str, delivery: Delivery) -> Need:
        """Whether a request before it is stored, or may play, or OraServer may have to know it.

        Over WebSocket also whether a record is not done.
        """
        lowest = await next_request(self._js, session, 0, before=delivery.sequence)
        if not cancel_is_applied(delivery.sequence, lowest.sequence if lowest is not None else None):
            return Need.PRESENT_OWNER
        if self._announces() or (self._transport == "websocket" and await self._plays(session)):
            return Need.OWNER
        plays = self._player is not None and await self._player(session) is not None
        return Need.PRESENT_OWNER if plays else Need.NOTHING
