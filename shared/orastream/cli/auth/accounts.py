"""What each account outside NODE may reach: the subjects that it imports from NODE. Pure.

An account has its own subjects. Only what it imports leads to the node, and an answer can only reach its own inboxes.
So its users cannot make the server publish an answer to a subject of the node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orastream.cli.auth import names
from orastream.cli.auth.rights import read_services, report_reads
from orastream.contract import subjects
from orastream.contract.caller import OBSERVERS
from orastream.contract.names import DEFAULT, Names

SPEAK_ANSWER = "1h"
"""How long the server waits for the answer to `tts.speak`: longer than any sensible GATEWAY_WAIT_SECONDS."""

RELAY_ANSWER = "10s"
"""The same for requests and cancels that the gateway relays: longer than it takes to store or refuse one. So long the
server remembers where the answer goes: of a flood, much."""

VOICES_ANSWER = "5s"
"""The same for the answers about voices, which the gateway has at hand."""

MAX_CONNECTIONS = 16
"""Connections of an account that is not trusted. The server keeps up to `max_pending` for one that does not read."""

Kind = Literal["service", "stream"]


@dataclass(frozen=True, slots=True)
class Import:
    """A subject that an account takes from NODE, and the export that allows it."""

    kind: Kind
    subject: str
    """In NODE."""
    export: str
    """The pattern that NODE exports; `subject` is it, or a part of it."""
    local: str
    """In the account."""


@dataclass(frozen=True, slots=True)
class CallerAccount:
    """A caller with an account of its own."""

    account: str
    sessions: tuple[str, ...] | None = None
    """Subject tokens of its sessions; None: it may use any session id."""

    @property
    def role(self) -> str:
        """The name of its files."""
        return names.role_of(self.account)


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """An account outside NODE with its one role."""

    name: str
    role: str
    about: str
    imports: tuple[Import, ...]
    max_connections: int | None = None
    """Connections of this account at the same time; None: no limit."""
    naming: Names = DEFAULT

    @property
    def subscribe(self) -> tuple[str, ...]:
        """The subjects that its user may subscribe to: else processes of one account could read each other's requests.

        All reports and all progress are among them, whatever is imported: a client that waits for a report subscribes,
        and the server would log a violation each time. Nothing arrives there but what the account imports.
        """
        live = (self.naming.report("*", "*"), self.naming.progress("*", "*"))
        streams = (one.local for one in self.imports if one.kind == "stream" and one.subject not in live)
        return (*streams, *live, f"{subjects.INBOX}.>")


def account_plans(callers: tuple[CallerAccount, ...], naming: Names = DEFAULT) -> tuple[AccountPlan, ...]:
    """The accounts outside NODE: CALLERS, OBSERVERS, then each caller's."""
    return (_callers(naming), _observers(naming), *(_of_caller(naming, caller) for caller in callers))


def caller_accounts(callers: tuple[CallerAccount, ...]) -> tuple[str, ...]:
    """The accounts that may send requests, as TTS_CALLERS names them."""
    return (names.CALLERS, *(caller.account for caller in callers))


def _service(pattern: str, subject: str | None = None) -> Import:
    return Import("service", subject or pattern, pattern, subject or pattern)


def _stream(pattern: str, subject: str | None = None) -> Import:
    return Import("stream", subject or pattern, pattern, subject or pattern)


def _requests(naming: Names, account: str) -> Import:
    """Requests under the caller's usual subject; in NODE under one that names the account, so nobody can hide it."""
    return Import(
        "service", naming.ingest_subject(account, "*"), naming.ingest_subject(account, "*"), naming.request("*")
    )


def _relayed(naming: Names, account: str, session: str = "*") -> tuple[Import, ...]:
    """Requests and cancels of a caller that is not trusted: the gateway takes them, within the caller's limits."""
    requests, cancels = (
        Import("service", relayed.format(session), relayed.format("*"), local)
        for relayed, local in (
            (naming.relay_subject(account, "request", "{}"), naming.request(session)),
            (naming.relay_subject(account, "cancel", "{}"), naming.cancel(session)),
        )
    )
    return requests, cancels


def _replies(naming: Names, account: str) -> Import:
    return _stream(f"{naming.reply_prefix(account)}>")


def _asks(naming: Names, account: str, pattern: str, session: str = "*") -> Import:
    """A question on the caller's usual subject; in NODE on one that names the account."""
    local = pattern.replace("*", session, 1)
    return Import("service", naming.asked_subject(account, local), naming.asked_subject(account, pattern), local)


def _callers(naming: Names) -> AccountPlan:
    return AccountPlan(
        names.CALLERS,
        names.LLM,
        "LLM servers that trust each other. They may use all sessions and read all reports, audio and what was heard.",
        (
            _requests(naming, names.CALLERS),
            _service(naming.text("*", "*")),
            _service(naming.cancel("*")),
            _asks(naming, names.CALLERS, naming.speak),
            _service(naming.voices),
            *(_asks(naming, names.CALLERS, pattern) for pattern in read_services(naming)),
            _stream(naming.report("*", "*")),
            _stream(naming.heard("*", "*")),
            _stream(naming.progress("*", "*")),
            _stream(naming.load),
            _replies(naming, names.CALLERS),
        ),
        naming=naming,
    )


def _observers(naming: Names) -> AccountPlan:
    return AccountPlan(
        OBSERVERS,
        names.OBSERVER,
        "Those who watch the node. They see reports, load and voices: never texts, never audio.",
        (
            *(_asks(naming, OBSERVERS, pattern) for pattern in (naming.report_get("*", "*"), *report_reads(naming))),
            _asks(naming, OBSERVERS, naming.voices),
            _stream(naming.report("*", "*")),
            _stream(naming.progress("*", "*")),
            _stream(naming.load),
        ),
        MAX_CONNECTIONS,
        naming,
    )


def _of_caller(naming: Names, caller: CallerAccount) -> AccountPlan:
    if caller.sessions is None:
        return AccountPlan(
            caller.account,
            caller.role,
            "A caller that may use any session id. If it knows both ids of a request, it reads its reports, audio and "
            "what was heard.",
            (
                *_relayed(naming, caller.account),
                _service(naming.text("*", "*")),
                _asks(naming, caller.account, naming.speak),
                _asks(naming, caller.account, naming.voices),
                # Questions that name both ids. A client that waits for a report asks the second one.
                _asks(naming, caller.account, naming.report_get("*", "*")),
                _asks(naming, caller.account, naming.report_read("*", "*")),
                _asks(naming, caller.account, naming.audio_read("*", "*")),
                _asks(naming, caller.account, naming.heard_read("*", "*")),
                _stream(naming.load),
                _replies(naming, caller.account),
            ),
            MAX_CONNECTIONS,
            naming,
        )
    own = [one for session in caller.sessions for one in _of_session(naming, caller.account, session)]
    return AccountPlan(
        caller.account,
        caller.role,
        "A caller with these sessions alone. Without tts.speak: NATS cannot check a session that is in the payload.",
        (*own, _asks(naming, caller.account, naming.voices), _stream(naming.load), _replies(naming, caller.account)),
        MAX_CONNECTIONS,
        naming,
    )


def _of_session(naming: Names, account: str, session: str) -> tuple[Import, ...]:
    return (
        *_relayed(naming, account, session),
        _service(naming.text("*", "*"), naming.text(session, "*")),
        *(
            _asks(naming, account, pattern, session)
            for pattern in read_services(naming)
            if pattern != naming.reports_read_all
        ),
        _stream(naming.report("*", "*"), naming.reports(session)),
        _stream(naming.heard("*", "*"), naming.heard(session, "*")),
        _stream(naming.progress("*", "*"), naming.progress(session, "*")),
    )
