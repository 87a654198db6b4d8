"""Has the requests of a synth that is gone delivered to another one at once, instead of after the ack wait."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from typing import NoReturn

import structlog

from orastream.base import tasks
from orastream.contract.errors import OrastreamError, SequenceConflict
from orastream.contract.names import SYNTH
from orastream.jetstream.api import JetStream
from orastream.jetstream.peers import Peers
from orastream.jetstream.pull_consumer import Delivery

MARK_S = 0.4
"""How long the mark is tried. After that a nak would be late; the requests then wait for the ack wait."""

log = structlog.get_logger()


class Rescue:
    """Tells the other synths what this one holds, and hands back what a gone one held. `await run()` until cancelled.

    Exactly one synth hands it back: the one that stores the mark first. A second nak would take the delivery from the
    synth that has it by then. If the gone synth lives after all, it loses nothing: another synth opens a later attempt,
    and the old one ends without an ack.
    """

    def __init__(self, js: JetStream, deliveries: Callable[[], Iterable[Delivery]]) -> None:
        """`deliveries` yields what this synth holds; the first ones are shown to the others."""
        self._js = js
        self._deliveries = deliveries
        self._naks: set[asyncio.Task[None]] = set()
        self._name = f"{SYNTH}-{uuid.uuid4().hex[:12]}"
        self._peers = Peers(
            js.broker,
            SYNTH,
            self._name,
            on_gone=self._on_gone,
            holds=lambda: (delivery.reply for delivery in self._deliveries()),
        )

    def changed(self) -> None:
        """What this synth holds has changed."""
        self._peers.changed()

    async def run(self) -> NoReturn:
        """Watch the other synths until cancelled."""
        try:
            await self._peers.run()
        finally:
            await tasks.end(*self._naks)
        raise AssertionError("it runs until it is cancelled")

    def _on_gone(self, synth: str, holds: tuple[str, ...]) -> None:
        if not holds:
            return
        task = asyncio.create_task(self._hand_back(synth, holds), name="hand back")
        self._naks.add(task)
        task.add_done_callback(self._naks.discard)

    async def _hand_back(self, synth: str, holds: tuple[str, ...]) -> None:
        try:
            async with asyncio.timeout(MARK_S):
                marked = await self._marked(synth)
            if marked:
                for ack_subject in holds:
                    await self._js.broker.publish(ack_subject, b"-NAK")
                log.info("requests of a gone synth are delivered again", synth=synth, requests=len(holds))
        except (OrastreamError, TimeoutError) as exc:
            log.warning("requests of a gone synth wait for the ack wait", synth=synth, error=str(exc))

    async def _marked(self, synth: str) -> bool:
        """Store the mark. Return whether this synth was the first. Raises NodeUnavailable.

        A nak after the ack wait would take the request from the synth that has it then.
        """
        mark = self._js.names.heartbeat_key(f"gone-{synth}")
        try:
            await self._js.store(mark, self._name.encode(), expect_last=0)
        except SequenceConflict:
            stored = await self._js.last(self._js.names.heartbeats_stream, mark)
            return stored is not None and stored.data == self._name.encode()  # the first ack was lost
        return True
