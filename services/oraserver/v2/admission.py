"""Decides which `open` of a connection is accepted. Pure."""

from __future__ import annotations

from collections.abc import Callable

from orastream.contract.oraserver.from_bridge import OpenStream
from orastream.contract.oraserver.from_server import ServerError
from services.oraserver.stream_faults import StreamMischief
from services.oraserver.v2 import checks
from services.oraserver.v2.answers import refusal
from services.oraserver.v2.sessions import StreamFence, StreamSession
from services.oraserver.v2.store import Store
from services.oraserver.v2.terms import StreamTerms
from services.oraserver.violations import StreamRule, Violation


class StreamAdmission:
    """The part of a connection that judges `open`s."""

    def __init__(self, store: Store, terms: StreamTerms, mischief: StreamMischief) -> None:
        self._store, self._terms, self._mischief = store, terms, mischief
        self._highest: dict[str, StreamFence] = {}
        """The highest fence of each session on this connection."""

    def refusal(self, message: OpenStream, node: str, unfinished: Callable[[], int]) -> ServerError | None:
        """Why the `open` is refused; None if it is accepted. `unfinished` counts the streams of the connection.

        One whose fence is high enough ends the earlier streams of its session, also if it is refused then. They do not
        count any more: the bridge has given them up.
        """
        number, name, fence = message.stream, message.session, (message.epoch, message.attempt)
        problems = checks.bad_ids(message)
        if problems:
            for problem in problems:
                self._store.report(problem, None, None)
            return refusal("refused", problems[0].detail, number)
        session = self._store.session((node, name))
        self._check_try(fence, name, session)
        if not session.admits(fence):
            return refusal("stale_epoch", f"the fence of the session is {session.fence}", number)
        code = self._mischief.open_error()
        if code == "stale_epoch":
            return refusal(code, "on purpose", number)
        self._store.raise_fence((node, name), fence)
        session.supersede()
        if session.covers(message.seq):
            return refusal("cancelled", "a cancel covers it", number)
        if code is not None:
            return refusal(code, "on purpose", number)
        return self._unusable(message, session, unfinished())

    def _unusable(self, message: OpenStream, session: StreamSession, unfinished: int) -> ServerError | None:
        number, name = message.stream, message.session
        if message.format not in self._terms.formats:
            self._broken("v2-format", f"format {message.format[:40]!r}", name)
            return refusal("refused", "hello does not have this format", number)
        if unfinished >= self._terms.streams:
            self._broken("v2-streams", f"more than {self._terms.streams} unfinished streams", name)
            return refusal("busy", "too many unfinished streams", number)
        if message.seq < session.highest:
            self._broken("v2-order", f"opens {message.seq} after {session.highest}", name)
            if message.seq not in session.utterances:
                return refusal("refused", "a higher sequence was opened before", number)
        return None

    def _check_try(self, fence: StreamFence, name: str, session: StreamSession) -> None:
        """Record a `try` that does not rise on this connection, or is that of an earlier `open` or `cancel`."""
        here = self._highest.get(name)
        if here is not None and here[0] == fence[0] and fence[1] <= here[1]:
            self._broken("v2-try", f"try {fence[1]} after {here[1]}", name)
        elif fence == session.fence:
            self._broken("v2-try", f"try {fence[1]} is not above that of an earlier open or cancel", name)
        self._highest[name] = max(fence, here or fence)

    def _broken(self, rule: StreamRule, detail: str, session: str) -> None:
        self._store.report(Violation(rule, detail), None, session)
