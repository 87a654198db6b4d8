"""The names of one node in NATS: its subjects, streams, buckets and keys, all built from a prefix (TTS_PREFIX). Pure.

Two nodes with different prefixes can share a server. If their names differ, no subject, stream or bucket of one is that
of the other. A prefix is `<name>` or `<name>.<n>`. Node `tts.0` is one of the nodes behind the *front* `tts`: callers
publish to the front, and the server maps each session to one of the nodes. Reports, audio and the load of such a node
have the front's name, because callers read them there; all else has the node's own.

`session` and `req` are tokens (`contract/subjects.py`), or `*` for a filter.
Source: docs/decisions/022-names-have-a-prefix.md.
"""

# length: one list of names, each with what it means

from __future__ import annotations

import re
from dataclasses import dataclass, field

from orastream.contract.subjects import check_inbox_prefix, literal, usable

DEFAULT_PREFIX = "tts"
MAX_NODES = 10_000
"""Nodes behind one front: `<name>.0` to `<name>.9999`."""
SYNTH = "synth"
BRIDGE_OF: dict[str, str] = {"websocket": "ws_bridge", "http": "http_bridge"}
"""The service that delivers a transport."""
BRIDGES = tuple(BRIDGE_OF.values())
"""The durable consumers are SYNTH and these, on the stream of sessions. Each is the name of the service that pulls."""

_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,30}(\.(0|[1-9][0-9]{0,3}))?")
_KIND = "request"


def check_prefix(value: str) -> str:
    """Return the prefix if it is valid: `<name>` or `<name>.<n>`. Raises ValueError."""
    if not _PREFIX.fullmatch(value):
        raise ValueError(
            "must be 1 to 31 of a-z 0-9 -, beginning with a letter, as in tts or staging; or tts.0 … tts.9999"
        )
    return value


@dataclass(frozen=True, slots=True)
class Names:
    """The names for one prefix. Equal if the prefix is. Raises ValueError for an invalid one."""

    prefix: str = DEFAULT_PREFIX
    front: str = field(init=False, compare=False, repr=False)
    """What callers use: the prefix without the number of the node."""

    speak: str = field(init=False, compare=False, repr=False)
    """Subject of requests that wait for an answer. The gateway answers, also on that of the front."""
    voices: str = field(init=False, compare=False, repr=False)
    """Subject of questions for voices. Each synth answers, also on that of the front."""
    load: str = field(init=False, compare=False, repr=False)
    """Subject on which synths publish their load, for each other. They publish it on that of the front, too."""
    reports_read_all: str = field(init=False, compare=False, repr=False)
    """Subject on which the gateway answers with the stored reports of all sessions."""

    sessions_stream: str = field(init=False, compare=False, repr=False)
    audio_stream: str = field(init=False, compare=False, repr=False)
    reports_stream: str = field(init=False, compare=False, repr=False)
    heard_stream: str = field(init=False, compare=False, repr=False)
    texts_stream: str = field(init=False, compare=False, repr=False)
    owners_stream: str = field(init=False, compare=False, repr=False)
    """The bucket with the records of owners."""
    heartbeats_stream: str = field(init=False, compare=False, repr=False)
    """The bucket with the heartbeats of bridges."""
    phrases_bucket: str = field(init=False, compare=False, repr=False)
    """The object store of the phrase cache."""

    _session: str = field(init=False, compare=False, repr=False)
    _audio: str = field(init=False, compare=False, repr=False)
    _report: str = field(init=False, compare=False, repr=False)
    _heard: str = field(init=False, compare=False, repr=False)
    _owners: str = field(init=False, compare=False, repr=False)
    _heartbeats: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        prefix = check_prefix(self.prefix)
        front = prefix.partition(".")[0]
        flat = prefix.replace(".", "_")
        stream = flat.upper()
        for name, value in (
            ("front", front),
            ("speak", f"{prefix}.speak"),
            ("voices", f"{prefix}.voices"),
            ("load", f"{prefix}.load"),
            # Not with the four tokens of a report: `tts.report.read.s` would be that of a session `read`, too.
            ("reports_read_all", f"{prefix}.reports.read"),
            ("sessions_stream", f"{stream}_SESSIONS"),
            ("audio_stream", f"{stream}_AUDIO"),
            ("reports_stream", f"{stream}_REPORTS"),
            ("heard_stream", f"{stream}_HEARD"),
            ("texts_stream", f"{stream}_TEXTS"),
            ("owners_stream", f"KV_{flat}_owners"),
            ("heartbeats_stream", f"KV_{flat}_heartbeats"),
            ("phrases_bucket", f"{flat}_phrases"),
            ("_session", f"{prefix}.session."),
            ("_audio", f"{front}.audio."),
            ("_report", f"{front}.report."),
            ("_heard", f"{front}.heard."),
            ("_owners", f"$KV.{flat}_owners."),
            ("_heartbeats", f"$KV.{flat}_heartbeats."),
        ):
            object.__setattr__(self, name, value)

    @property
    def streams(self) -> tuple[str, ...]:
        """All streams but that of the phrase cache."""
        return (
            self.sessions_stream,
            self.audio_stream,
            self.reports_stream,
            self.heard_stream,
            self.texts_stream,
            self.owners_stream,
            self.heartbeats_stream,
        )

    @property
    def of_front(self) -> Names:
        """The names that callers use; these, if there is no front."""
        return Names(self.front) if self.behind_front else self

    @property
    def behind_front(self) -> bool:
        """Whether this is one of the nodes behind a front."""
        return self.front != self.prefix

    def with_front(self, subject: str) -> tuple[str, ...]:
        """Return a subject of this node and, if there is a front, the front's one of the same meaning."""
        rest = subject.removeprefix(self.prefix)
        return (subject, self.front + rest) if self.behind_front else (subject,)

    def service(self, what: str) -> str:
        """Name of a nats.micro service."""
        return f"{self.prefix.replace('.', '_')}-{what}"

    # ---- requests, cancels and texts

    def request(self, session: str) -> str:
        """Subject on which requests of a session are published."""
        return f"{self.prefix}.request.{session}"

    def cancel(self, session: str) -> str:
        """Subject on which cancels of a session are published."""
        return f"{self.prefix}.cancel.{session}"

    def session_request(self, session: str) -> str:
        """Subject under which requests of a session are stored, except those of an account (`contract/caller.py`)."""
        return f"{self._session}{session}.request"

    def session_cancel(self, session: str) -> str:
        """Subject under which cancels of a session are stored and republished."""
        return f"{self._session}{session}.cancel"

    def session_events(self, session: str) -> str:
        """Filter for the stored requests and cancels of a session, in one order."""
        return f"{self._session}{session}.*"

    def session_of(self, subject: str) -> str | None:
        """Return the session token in a stored subject of the sessions stream, or None if it is not `usable`."""
        if not subject.startswith(self._session):
            return None
        session, dot, _ = subject[len(self._session) :].partition(".")
        return session if dot and usable(session) else None

    def text(self, session: str, req: str) -> str:
        """Subject on which the pieces of a request's text are published."""
        return f"{self.prefix}.text.{session}.{req}"

    def script(self, session: str, req: str) -> str:
        """Subject under which the pieces of a request's text are stored and republished."""
        return f"{self.prefix}.script.{session}.{req}"

    # ---- audio and reports

    def put_audio(self, session: str, req: str) -> str:
        """Subject on which synth publishes audio."""
        return f"{self.prefix}.put.audio.{session}.{req}"

    def audio(self, session: str, req: str) -> str:
        """Subject under which audio is stored and republished. It has the front's name."""
        return f"{self._audio}{session}.{req}"

    def put_report(self, session: str, req: str) -> str:
        """Subject on which reports are published."""
        return f"{self.prefix}.put.report.{session}.{req}"

    def report(self, session: str, req: str) -> str:
        """Subject under which reports are stored and republished. It has the front's name."""
        return f"{self._report}{session}.{req}"

    def reports(self, session: str) -> str:
        """Filter for all stored reports of a session."""
        return f"{self._report}{session}.*"

    def report_get(self, session: str, req: str) -> str:
        """Subject on which the gateway answers with the last report of a request."""
        return f"{self.prefix}.report.get.{session}.{req}"

    def reports_read(self, session: str) -> str:
        """Subject on which the gateway answers with the stored reports of a session; of all: `reports_read_all`."""
        return f"{self.reports_read_all}.{session}"

    def report_read(self, session: str, req: str) -> str:
        """Subject on which the gateway answers with the stored report of a request, and those that replace it."""
        return f"{self.prefix}.report.read.{session}.{req}"

    def audio_read(self, session: str, req: str) -> str:
        """Subject on which the gateway answers with the stored audio of a request."""
        return f"{self.prefix}.audio.read.{session}.{req}"

    def put_heard(self, session: str, req: str) -> str:
        """Subject on which records of what was heard are published."""
        return f"{self.prefix}.put.heard.{session}.{req}"

    def heard(self, session: str, req: str) -> str:
        """Subject under which the record of what was heard is stored and republished. It has the front's name."""
        return f"{self._heard}{session}.{req}"

    def heard_read(self, session: str, req: str) -> str:
        """Subject on which the gateway answers with the record of what was heard of a request, and what replaces it."""
        return f"{self.prefix}.heard.read.{session}.{req}"

    def heards_read(self, session: str) -> str:
        """Subject on which the gateway answers with the records of what was heard of a session's requests."""
        return f"{self.prefix}.heards.read.{session}"

    def progress(self, session: str, req: str) -> str:
        """Subject on which a bridge publishes how far a delivery is; not stored. It has the front's name."""
        return f"{self.front}.progress.{session}.{req}"

    def question_of(self, subject: str) -> str:
        """Return the subject on which the gateway answers with what is stored under this filter.

        It is one of audio, of reports, or of what was heard in one session.
        """
        if subject.startswith(self._audio):
            return f"{self.prefix}.audio.read.{subject[len(self._audio) :]}"
        if subject.startswith(self._heard):
            session, _, req = subject[len(self._heard) :].partition(".")
            return self.heards_read(session) if req == "*" else self.heard_read(session, req)
        session, _, req = subject[len(self._report) :].partition(".")
        if session == "*":
            return self.reports_read_all
        return self.reports_read(session) if req == "*" else self.report_read(session, req)

    # ---- keys

    def owner_key(self, kind: str, session: str) -> str:
        """Subject of the record of which bridge of `kind` owns a session; `owner_keys` for all."""
        return f"{self._owners}{kind}.{session}"

    @property
    def owner_keys(self) -> str:
        """Filter for all records of owners."""
        return f"{self._owners}>"

    def owner_session(self, key: str) -> str | None:
        """Return the session's token in an `owner_key`, or None if it is no key of a bridge."""
        kind, _, session = key.removeprefix(self._owners).partition(".")
        return session if kind in BRIDGES and session and "." not in session else None

    @property
    def heartbeat_keys(self) -> str:
        """Filter for all heartbeats."""
        return f"{self._heartbeats}>"

    def trial_key(self, process: str) -> str:
        """Subject of a message that a process stores to see whether the server stores any; `*` for all."""
        return f"{self._heartbeats}trial.{process}"

    def heartbeat_key(self, bridge: str) -> str:
        """Subject of a bridge's heartbeat, kept for HEARTBEAT_LIFE_S."""
        return f"{self._heartbeats}{bridge}"

    def peer(self, service: str, process: str) -> str:
        """Subject on which one process of a service answers probes: it is alive."""
        return f"{self.prefix}.peer.{service}.{process}"

    def peers(self, service: str) -> str:
        """Subject on which the processes of a service tell each other that they are alive, and what they hold."""
        return f"{self.prefix}.peers.{service}"

    # ---- accounts (contract/caller.py)

    def ingest_subject(self, account: str, session: str) -> str:
        """Subject to which the server maps requests of an account."""
        return f"{self.prefix}.{_KIND}-{account}.{session}"

    def relay_subject(self, account: str, kind: str, session: str) -> str:
        """Subject to which the server maps requests or cancels (`kind`) of an account that the node does not trust."""
        return f"{self.prefix}.relay.{account}.{kind}.{session}"

    def stored_filter(self, account: str) -> str:
        """Filter for the stored requests of an account."""
        return f"{self._session}*.{_KIND}-{account}"

    def asked_subject(self, account: str, subject: str) -> str:
        """Subject to which the server maps a question that an account publishes on `subject`: `speak` and the reads."""
        return f"{self.prefix}.of.{account}.{subject.removeprefix(f'{self.prefix}.')}"

    def asked_by(self, subject: str) -> tuple[str, str]:
        """Return the account in the subject of a question ("" if it has none), and the subject that it published on."""
        of = f"{self.prefix}.of."
        account, dot, rest = subject.removeprefix(of).partition(".")
        return (account, f"{self.prefix}.{rest}") if subject.startswith(of) and dot else ("", subject)

    def reply_prefix(self, account: str) -> str:
        """What begins each `replyTo` of callers in this account: only there NATS passes reports on to them."""
        return f"{self.front}.reply.{account}."

    def check_inbox_prefix(self, prefix: str) -> str:
        """Return the prefix if inboxes can use it: literal tokens, the first one not the front. Raises ValueError."""
        return check_inbox_prefix(prefix, self.front)

    def reply_allowed(self, subject: str) -> bool:
        """Whether a report may be sent to `subject`: only `_INBOX.>`, or `reply.>` of the front."""
        return literal(subject) and subject.startswith(("_INBOX.", f"{self.front}.reply."))


DEFAULT = Names()
"""The names of a node without TTS_PREFIX."""
