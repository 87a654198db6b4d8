"""What each account outside NODE may reach: the subjects that it imports from NODE. Pure.

An account has its own subjects. Only what it imports leads to the node, and an answer can only reach its own inboxes.
So its users cannot make the server publish an answer to a subject of the node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orastream.cli.auth import names
from orastream.cli.auth.rights import READ_SERVICES, REPORT_READS
from orastream.contract import subjects
from orastream.contract.caller import OBSERVERS, asked_subject, ingest_subject, relay_subject

SPEAK_ANSWER = "1h"
"""How long the server waits for the answer to `tts.speak`: longer than any sensible GATEWAY_WAIT_SECONDS."""

RELAY_ANSWER = "10s"
"""The same for requests and cancels that the gateway relays: longer than it takes to store or refuse one. So long the
server remembers where the answer goes: of a flood, much."""

VOICES_ANSWER = "5s"
"""The same for the answers about voices, which the gateway has at hand."""

MAX_CONNECTIONS = 16
"""Connections of an account that is not trusted. The server keeps up to `max_pending` for one that does not read."""

ALL_REPORTS = subjects.report("*", "*")

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

    @property
    def subscribe(self) -> tuple[str, ...]:
        """The subjects that its user may subscribe to: else processes of one account could read each other's requests.

        All reports are among them, whatever is imported: a client that waits for a report subscribes, and the server
        would log a violation each time. Nothing arrives there but the reports that the account imports.
        """
        streams = (one.local for one in self.imports if one.kind == "stream" and one.subject != ALL_REPORTS)
        return (*streams, ALL_REPORTS, f"{subjects.INBOX}.>")


def account_plans(callers: tuple[CallerAccount, ...]) -> tuple[AccountPlan, ...]:
    """The accounts outside NODE: CALLERS, OBSERVERS, then each caller's."""
    return (_callers(), _observers(), *map(_of_caller, callers))


def caller_accounts(callers: tuple[CallerAccount, ...]) -> tuple[str, ...]:
    """The accounts that may send requests, as TTS_CALLERS names them."""
    return (names.CALLERS, *(caller.account for caller in callers))


def _service(pattern: str, subject: str | None = None) -> Import:
    return Import("service", subject or pattern, pattern, subject or pattern)


def _stream(pattern: str, subject: str | None = None) -> Import:
    return Import("stream", subject or pattern, pattern, subject or pattern)


def _requests(account: str) -> Import:
    """Requests under the caller's usual subject; in NODE under one that names the account, so nobody can hide it."""
    return Import("service", ingest_subject(account, "*"), ingest_subject(account, "*"), subjects.REQUESTS)


def _relayed(account: str, session: str = "*") -> tuple[Import, ...]:
    """Requests and cancels of a caller that is not trusted: the gateway takes them, within the caller's limits."""
    requests, cancels = (
        Import("service", relayed.format(session), relayed.format("*"), local)
        for relayed, local in (
            (relay_subject(account, "request", "{}"), f"tts.request.{session}"),
            (relay_subject(account, "cancel", "{}"), f"tts.cancel.{session}"),
        )
    )
    return requests, cancels


def _replies(account: str) -> Import:
    return _stream(f"{subjects.reply_prefix(account)}>")


def _asks(account: str, pattern: str, session: str = "*") -> Import:
    """A question on the caller's usual subject; in NODE on one that names the account."""
    local = pattern.replace("*", session, 1)
    return Import("service", asked_subject(account, local), asked_subject(account, pattern), local)


def _callers() -> AccountPlan:
    return AccountPlan(
        names.CALLERS,
        names.LLM,
        "LLM servers that trust each other. They may use all sessions and read all reports and all audio.",
        (
            _requests(names.CALLERS),
            _service(subjects.TEXTS),
            _service(subjects.CANCELS),
            _asks(names.CALLERS, subjects.SPEAK),
            _service(subjects.VOICES),
            *(_asks(names.CALLERS, pattern) for pattern in READ_SERVICES),
            _stream(ALL_REPORTS),
            _stream(subjects.LOAD),
            _replies(names.CALLERS),
        ),
    )


def _observers() -> AccountPlan:
    return AccountPlan(
        OBSERVERS,
        names.OBSERVER,
        "Those who watch the node. They see reports, load and voices: never texts, never audio.",
        (
            *(_asks(OBSERVERS, pattern) for pattern in (subjects.REPORT_GET, *REPORT_READS)),
            _asks(OBSERVERS, subjects.VOICES),
            _stream(ALL_REPORTS),
            _stream(subjects.LOAD),
        ),
        MAX_CONNECTIONS,
    )


def _of_caller(caller: CallerAccount) -> AccountPlan:
    if caller.sessions is None:
        return AccountPlan(
            caller.account,
            caller.role,
            "A caller that may use any session id. It reads reports and audio of a request if it knows both ids.",
            (
                *_relayed(caller.account),
                _service(subjects.TEXTS),
                _asks(caller.account, subjects.SPEAK),
                _asks(caller.account, subjects.VOICES),
                # Questions that name both ids. A client that waits for a report asks the second one.
                _asks(caller.account, subjects.REPORT_GET),
                _asks(caller.account, subjects.REPORT_READ),
                _asks(caller.account, subjects.AUDIO_READ),
                _stream(subjects.LOAD),
                _replies(caller.account),
            ),
            MAX_CONNECTIONS,
        )
    own = [one for session in caller.sessions for one in _of_session(caller.account, session)]
    return AccountPlan(
        caller.account,
        caller.role,
        "A caller with these sessions alone. Without tts.speak: NATS cannot check a session that is in the payload.",
        (*own, _asks(caller.account, subjects.VOICES), _stream(subjects.LOAD), _replies(caller.account)),
        MAX_CONNECTIONS,
    )


def _of_session(account: str, session: str) -> tuple[Import, ...]:
    return (
        *_relayed(account, session),
        _service(subjects.TEXTS, subjects.text(session, "*")),
        *(_asks(account, pattern, session) for pattern in READ_SERVICES if pattern != subjects.REPORTS_READ),
        _stream(ALL_REPORTS, subjects.reports(session)),
    )
