"""The subjects that each service of the node publishes to and subscribes to. Pure.

One list for each role of account NODE. A test runs the node with them: the server must refuse a service nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orastream.cli.auth.names import OPERATOR
from orastream.contract import subjects
from orastream.contract.caller import asked_subject, ingest_subject
from orastream.contract.stream_names import (
    AUDIO,
    BRIDGES,
    HEARTBEATS,
    OWNERS,
    REPORTS,
    SESSIONS,
    SYNTH,
    TEXTS,
    heartbeat_key,
    owner_key,
    trial_key,
)

STREAMS = (SESSIONS, AUDIO, REPORTS, TEXTS, OWNERS, HEARTBEATS)
CONSUMERS = (SYNTH, *BRIDGES)
PHRASES = "tts_phrases"
"""The bucket of the phrase cache."""
REPORT_READS = (subjects.REPORT_READ, subjects.REPORTS_READ, subjects.REPORTS_READ_SESSION)
READ_SERVICES = (subjects.REPORT_GET, *REPORT_READS, subjects.AUDIO_READ)
"""Questions by which callers read reports and audio; the gateway answers."""
ANSWER_S = 10
"""How long a service may send its answer to a request from inside account NODE, in seconds."""

_API = "$JS.API"
_OBJECTS = f"OBJ_{PHRASES}"
_SERVICE_API = ("$SRV.PING", "$SRV.INFO", "$SRV.STATS")
SERVICE_API = tuple(f"{verb}{rest}" for verb in _SERVICE_API for rest in ("", ".>"))
"""The requests to which each nats.micro service answers."""
CROSS_ACCOUNT_ANSWERS = "_R_.>"
"""Where the server takes answers to requests that came from another account."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user may do in its account."""

    publish: tuple[str, ...] | None
    """None: everything. In an account other than NODE only its imports lead anywhere."""
    subscribe: tuple[str, ...]
    answers: bool = False
    """The user may also answer, once and within ANSWER_S, each request that it receives (`allow_responses`)."""


def inbox_prefix(role: str) -> str:
    """The prefix of the inboxes of a user of account NODE."""
    return f"_INBOX_{role}"


def rights_of(role: str, accounts: Sequence[str] = ()) -> Rights:
    """The rights of a role of account NODE, with these accounts of callers. Raises KeyError for another role."""
    rights = _rights(accounts)[role]
    inbox = f"{inbox_prefix(role)}.>"
    # Processes of one service answer each other's probes, which come from inboxes with this prefix.
    return Rights((*_unique(rights.publish or ()), inbox), (*_unique(rights.subscribe), inbox), rights.answers)


def _rights(accounts: Sequence[str]) -> dict[str, Rights]:
    bridges = {kind: _bridge(kind) for kind in BRIDGES}
    return {SYNTH: _synth(), **bridges, "gateway": _gateway(accounts), OPERATOR: _operator()}


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _streams(call: str, *streams: str) -> tuple[str, ...]:
    return tuple(f"{_API}.{call}.{stream}" for stream in streams)


def _reads(*streams: str) -> tuple[str, ...]:
    return (*_streams("STREAM.MSG.GET", *streams), *_streams("DIRECT.GET", *streams))


def _keeps() -> tuple[str, ...]:
    """Each service creates what is missing. Every few seconds it looks for it, and whether messages are stored."""
    return (
        trial_key("*"),
        *_streams("STREAM.INFO", *STREAMS),
        *_streams("STREAM.CREATE", *STREAMS),
        *(f"{_API}.CONSUMER.INFO.{SESSIONS}.{consumer}" for consumer in CONSUMERS),
        # With the filter in the subject, and without it: a consumer with several filters has none there.
        *(f"{_API}.CONSUMER.CREATE.{SESSIONS}.{consumer}{end}" for consumer in CONSUMERS for end in ("", ".>")),
    )


def _pulls(consumer: str) -> tuple[str, ...]:
    """Pull deliveries, and ack them. A server with a JetStream domain adds it and an account's hash to the subject."""
    return (
        f"{_API}.CONSUMER.MSG.NEXT.{SESSIONS}.{consumer}",
        f"$JS.ACK.{SESSIONS}.{consumer}.>",
        f"$JS.ACK.*.*.{SESSIONS}.{consumer}.>",
    )


def _closes() -> tuple[str, ...]:
    """Write reports, send the final one to `replyTo`, delete the request and the pieces of its text."""
    return (
        subjects.PUT_REPORT,
        "tts.reply.>",
        *_streams("STREAM.MSG.DELETE", SESSIONS),
        *_streams("STREAM.PURGE", TEXTS),
    )


def _peers(service: str) -> tuple[str, ...]:
    return (subjects.peer(service, "*"), subjects.peers(service))


def _synth() -> Rights:
    publish = (
        *_keeps(),
        *_streams("STREAM.UPDATE", *STREAMS),
        *_pulls(SYNTH),
        *_reads(SESSIONS, AUDIO, REPORTS, TEXTS, HEARTBEATS),
        *_closes(),
        *_streams("STREAM.MSG.DELETE", TEXTS),  # pieces that nobody will speak
        subjects.PUT_AUDIO,
        subjects.TEXTS,  # the mark of a stalled text
        heartbeat_key("*"),  # the mark of a synth that is gone
        *(f"{_API}.STREAM.{call}.{_OBJECTS}" for call in ("INFO", "CREATE", "UPDATE", "DELETE", "PURGE")),
        *_streams("DIRECT.GET", _OBJECTS),
        f"$O.{PHRASES}.C.*",
        f"$O.{PHRASES}.M.*",
        subjects.LOAD,
        # Not by `answers`: the server would remember each question about voices, and log each answer that comes late.
        CROSS_ACCOUNT_ANSWERS,
        *_peers(SYNTH),
    )
    subscribe = (
        subjects.session_cancel("*"),
        subjects.CANCELS,
        subjects.report("*", "*"),
        subjects.script("*", "*"),
        subjects.LOAD,
        *_peers(SYNTH),
        subjects.VOICES,
        *SERVICE_API,
    )
    return Rights(publish, subscribe, answers=True)


def _bridge(kind: str) -> Rights:
    publish = (
        *_keeps(),
        *_pulls(kind),
        *_reads(SESSIONS, AUDIO, REPORTS, OWNERS, HEARTBEATS),
        *_closes(),
        *_streams("STREAM.MSG.DELETE", OWNERS, HEARTBEATS),
        owner_key(kind, "*"),
        heartbeat_key("*"),
        *_peers(kind),
    )
    subscribe = (
        subjects.session_events("*"),
        subjects.report("*", "*"),
        subjects.audio("*", "*"),
        *_peers(kind),
    )
    return Rights(publish, subscribe)


def _gateway(accounts: Sequence[str]) -> Rights:
    publish = (
        *_keeps(),
        *_reads(SESSIONS, AUDIO, REPORTS),
        subjects.REQUESTS,
        *(ingest_subject(account, "*") for account in accounts),
        subjects.CANCELS,
        subjects.TEXTS,
        subjects.VOICES,
        *READ_SERVICES,
        # Not by `answers`: the server would remember each request for as long as a caller may wait.
        CROSS_ACCOUNT_ANSWERS,
    )
    subscribe = (
        subjects.SPEAK,
        asked_subject("*", "tts.>"),
        subjects.RELAY_REQUESTS,
        subjects.RELAY_CANCELS,
        *READ_SERVICES,
        subjects.session_events("*"),
        subjects.report("*", "*"),
        subjects.audio("*", "*"),
        subjects.LOAD,
        *SERVICE_API,
    )
    return Rights(publish, subscribe, answers=True)


def _operator() -> Rights:
    everything = ("tts.>", "$JS.>", "$KV.>", "$O.>", "$SRV.>")
    return Rights(everything, everything)
