"""Writes records of what was heard, by compare-and-set. Rules: `contract/heard.py`."""

from __future__ import annotations

from collections.abc import Iterable

from orastream.contract import subjects
from orastream.contract.codec import Encoding
from orastream.contract.errors import InvalidRequest, NodeUnavailable, SequenceConflict, StreamFull
from orastream.contract.heard import Heard, HeardState, heard_state_of, may_replace, surely_done
from orastream.jetstream.api import API, JetStream, Stored


class HeardStore:
    """The node's records of what was heard, by subject tokens of session and request."""

    def __init__(self, js: JetStream) -> None:
        self._js = js

    async def of_session(self, session: str) -> list[HeardState]:
        """Read the records of a session, by subject token, in the order in which they were stored.

        Raises NodeUnavailable.
        """
        return self._states(await self._stored(session))

    async def if_undone(self, session: str) -> list[HeardState]:
        """Like `of_session`, but empty if all records are done. A long past is then not decoded."""
        messages = await self._stored(session)
        return [] if all(surely_done(message.data) for message in messages) else self._states(messages)

    async def _stored(self, session: str) -> list[Stored]:
        names, found = self._js.names, list[Stored]()
        while page := await self._js.read(
            names.heard_stream, names.heard(session, "*"), found[-1].sequence if found else 0
        ):
            found += page
        return found

    def _states(self, messages: Iterable[Stored]) -> list[HeardState]:
        """The records in these messages; what is none, or has other ids than its subject, is left out."""
        states = ((message.subject, heard_state_of(message)) for message in messages)
        return [state for subject, state in states if state is not None and subject == self._subject(state.heard)]

    async def plays(self, session: str) -> bool:
        """Whether a record of a session, by subject token, is not done. False if this user may not read the records.

        Raises NodeUnavailable.
        """
        try:
            return any(not state.heard.done for state in await self.if_undone(session))
        except NodeUnavailable:
            if self.refused:
                return False
            raise

    @property
    def refused(self) -> bool:
        """Whether NATS has refused this user the last read of the records."""
        return self._js.broker.refused(f"{API}.DIRECT.GET.{self._js.names.heard_stream}") is not None

    def refuses(self, heard: Heard) -> bool:
        """Whether NATS has refused this user the last write of this record."""
        subject = self._js.names.put_heard(*subjects.tokens(heard.session_id, heard.request_id))
        return self._js.broker.refused(subject) is not None

    def _subject(self, heard: Heard) -> str | None:
        """The subject of a record with these ids; None if they are no ids."""
        try:
            return self._js.names.heard(*subjects.tokens(heard.session_id, heard.request_id))
        except InvalidRequest:
            return None

    async def write(
        self, heard: Heard, encoding: Encoding, revision: int | None, *, if_first: bool = False
    ) -> int | None:
        """Write a record over the one at `revision` (0: none yet, None: read it first). Returns its revision.

        None if the stored record may not be replaced: it is of a later request or owner. With `if_first`, also if it
        is of the same request. Cancel-safe: a cancelled write may or may not be stored. Raises NodeUnavailable.
        """
        names = self._js.names
        tokens = subjects.tokens(heard.session_id, heard.request_id)
        data = heard.encode(encoding)
        while True:
            if revision is not None:
                try:
                    return (await self._js.store(names.put_heard(*tokens), data, expect_last=revision)).sequence
                except SequenceConflict:
                    pass
                except StreamFull as exc:  # the oldest records are removed for it: the server lacks resources
                    raise NodeUnavailable(str(exc)) from exc
            stored = await self._js.last(names.heard_stream, names.heard(*tokens))
            revision = 0 if stored is None else stored.sequence
            current = None if stored is None else heard_state_of(stored)
            if current is None:
                continue
            if current.heard == heard:
                return current.revision  # an earlier try whose ack was lost
            same = current.heard.request_seq == heard.request_seq
            if not may_replace(current.heard, heard) or (if_first and same):
                return None
