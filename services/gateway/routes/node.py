"""`GET /api/node`: the node's open requests and newest reports. Its cost is bounded, and it is cached for a second."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orastream.contract.codec import Map
from orastream.contract.errors import NodeUnavailable
from orastream.contract.names import BRIDGES, SYNTH
from orastream.contract.report_state import ReportState, state_of
from orastream.contract.stored_requests import StoredRequest, read_stored
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore

KEPT_S = 1.0
PATIENCE_S = 3.0
MAX_UNFINISHED = 100
"""How many requests that are not final are listed, oldest first."""
MAX_RECENT = 50
"""From how many of the last sequences of TTS_REPORTS reports are listed."""


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A request with its newest report (`queued` when it has none), and when the request was stored if known."""

    state: ReportState
    requested_at_s: float | None

    def to_map(self) -> Map:
        """The data of an `event: report` of `/api/events`, with `requestedAt` if it is known."""
        fields: Map = {"storedAt": self.state.stored_at_s, "report": self.state.report.to_map()}
        return fields if self.requested_at_s is None else {"requestedAt": self.requested_at_s, **fields}


class NodeView:
    """The state of the streams. One reading serves all callers within KEPT_S. For one event loop."""

    def __init__(self, js: JetStream, *, max_text_chars: int) -> None:
        self._js = js
        self._reports = ReportStore(js)
        self._max_text_chars = max_text_chars
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._seen: Map = {}

    async def look(self) -> Map:
        """The state of the node, at most KEPT_S seconds old. Raises NodeUnavailable."""
        async with self._looking:
            if time.monotonic() - self._looked_at > KEPT_S:
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        self._seen = await self._look()
                except TimeoutError:
                    raise NodeUnavailable(f"the streams do not answer within {PATIENCE_S:g} s") from None
                self._looked_at = time.monotonic()
            return self._seen

    async def _look(self) -> Map:
        synth, audio, heartbeats, sessions, (unfinished, complete), recent = await asyncio.gather(
            self._synth(),
            self._stream(self._js.names.audio_stream),
            self._stream(self._js.names.heartbeats_stream, self._js.names.heartbeat_key(">")),
            self._stream(self._js.names.sessions_stream),
            self._unfinished(),
            self._recent(),
        )
        lines, now = await self._lines(unfinished, recent), self._js.clock.now_s()
        return {
            "asOf": round(now, 3),
            "reports": max((state.revision for state in recent), default=0),
            "requests": {
                "waiting": int(synth.get("num_pending", 0)),
                "inWork": int(synth.get("num_ack_pending", 0)),
                "stored": int(sessions["state"]["messages"]),
                "oldestStoredAt": min((stored.stored_at_s for stored in unfinished), default=None),
            },
            "synth": {"asksForWork": int(synth.get("num_waiting", 0)) > 0},
            "bridges": bridges_of(heartbeats["state"].get("subjects") or ()),
            "audio": {"bytes": int(audio["state"]["bytes"]), "maxBytes": int(audio["config"]["max_bytes"])},
            "limits": {"textChars": self._max_text_chars},
            "lines": [line.to_map() for line in lines],
            "complete": complete,
        }

    async def _synth(self) -> dict[str, Any]:
        """Return the state of synth's consumer. Raises NodeUnavailable."""
        name = SYNTH
        return management.checked(
            name, await management.consumer_info(self._js, self._js.names.sessions_stream, name, patience_s=PATIENCE_S)
        )

    async def _stream(self, name: str, counted: str | None = None) -> dict[str, Any]:
        """Return the state of a stream, with the subjects that match `counted`. Raises NodeUnavailable."""
        answer = await management.stream_info(self._js, name, subjects=counted, patience_s=PATIENCE_S)
        return management.checked(name, answer, "state", "config")

    async def _unfinished(self) -> tuple[list[StoredRequest], bool]:
        """The oldest stored requests, and whether these are all. They are not final: final ones are deleted."""
        found = await self._js.read(
            self._js.names.sessions_stream,
            self._js.names.session_events("*"),
            0,
            batch=MAX_UNFINISHED,
            timeout_s=PATIENCE_S,
        )
        # Without a session it is deleted without a report, and JSON may not be able to hold its token.
        read = (
            read_stored(self._js.names, m.subject, m.sequence, m.time_s, m.data, max_text_chars=self._max_text_chars)
            for m in found
            if self._js.names.session_of(m.subject) is not None
        )
        return [stored for stored in read if isinstance(stored, StoredRequest)], len(found) < MAX_UNFINISHED

    async def _recent(self) -> list[ReportState]:
        """The reports among the last MAX_RECENT sequences. There are fewer where a newer report has replaced one."""
        last = await self._js.last(self._js.names.reports_stream, self._js.names.reports("*"))
        if last is None:
            return []
        found = await self._js.read(
            self._js.names.reports_stream,
            self._js.names.reports("*"),
            max(0, last.sequence - MAX_RECENT),
            batch=MAX_RECENT,
            timeout_s=PATIENCE_S,
        )
        return [state for state in map(state_of, found) if state is not None]

    async def _lines(self, unfinished: list[StoredRequest], recent: list[ReportState]) -> list[RequestLine]:
        """The lines of both, each request once, by the sequence of the request."""
        known = {state.report.request_seq: state for state in recent}
        missing = [stored for stored in unfinished if stored.sequence not in known]
        for stored, state in zip(missing, await asyncio.gather(*map(self._state, missing)), strict=True):
            known[stored.sequence] = state
        asked_at = {stored.sequence: stored.stored_at_s for stored in unfinished}
        return [RequestLine(known[sequence], asked_at.get(sequence)) for sequence in sorted(known)]

    async def _state(self, stored: StoredRequest) -> ReportState:
        state = await self._reports.read(stored.session, stored.token)
        if state is not None and state.report.request_seq == stored.sequence:
            return state
        return ReportState(stored.report("queued"), 0, stored.stored_at_s)


def bridges_of(heartbeats: Iterable[str]) -> Map:
    """How many bridges of each kind are alive, by the subjects of their heartbeats."""
    kinds = Counter(subject.rpartition(".")[2].rpartition("-")[0] for subject in heartbeats)
    return {kind: kinds[kind] for kind in BRIDGES}
