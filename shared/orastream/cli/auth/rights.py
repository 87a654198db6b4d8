"""The subjects that each service of the node publishes to and subscribes to. Pure.

One list for each role of account NODE. A test runs the node with them: the server must refuse a service nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orastream.cli.auth.names import OPERATOR
from orastream.contract.names import BRIDGE_OF, BRIDGES, DEFAULT, SYNTH, Names

CONSUMERS = (SYNTH, *BRIDGES)
ANSWER_S = 10
"""How long a service may send its answer to a request from inside account NODE, in seconds."""

_API = "$JS.API"
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


def report_reads(naming: Names) -> tuple[str, ...]:
    """Questions by which callers read reports."""
    return (naming.report_read("*", "*"), naming.reports_read_all, naming.reports_read("*"))


def heard_reads(naming: Names) -> tuple[str, ...]:
    """Questions by which callers read what was heard: they show text, so they are for those who may see it."""
    return (naming.heard_read("*", "*"), naming.heards_read("*"))


def read_services(naming: Names) -> tuple[str, ...]:
    """Questions by which callers read reports, audio and what was heard; the gateway answers."""
    return (naming.report_get("*", "*"), *report_reads(naming), naming.audio_read("*", "*"), *heard_reads(naming))


def rights_of(role: str, accounts: Sequence[str] = (), naming: Names = DEFAULT) -> Rights:
    """The rights of a role of account NODE, with these accounts of callers. Raises KeyError for another role."""
    rights = _rights(naming, accounts)[role]
    inbox = f"{inbox_prefix(role)}.>"
    # Processes of one service answer each other's probes, which come from inboxes with this prefix.
    return Rights((*_unique(rights.publish or ()), inbox), (*_unique(rights.subscribe), inbox), rights.answers)


def _rights(naming: Names, accounts: Sequence[str]) -> dict[str, Rights]:
    bridges = {kind: _bridge(naming, kind) for kind in BRIDGES}
    return {SYNTH: _synth(naming), **bridges, "gateway": _gateway(naming, accounts), OPERATOR: _operator(naming)}


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _streams(call: str, *streams: str) -> tuple[str, ...]:
    return tuple(f"{_API}.{call}.{stream}" for stream in streams)


def _reads(*streams: str) -> tuple[str, ...]:
    return (*_streams("STREAM.MSG.GET", *streams), *_streams("DIRECT.GET", *streams))


def _keeps(naming: Names) -> tuple[str, ...]:
    """Each service creates what is missing. Every few seconds it looks for it, and whether messages are stored."""
    return (
        naming.trial_key("*"),
        *_streams("STREAM.INFO", *naming.streams),
        *_streams("STREAM.CREATE", *naming.streams),
        *(f"{_API}.CONSUMER.INFO.{naming.sessions_stream}.{consumer}" for consumer in CONSUMERS),
        # With the filter in the subject, and without it: a consumer with several filters has none there.
        *(
            f"{_API}.CONSUMER.CREATE.{naming.sessions_stream}.{consumer}{end}"
            for consumer in CONSUMERS
            for end in ("", ".>")
        ),
    )


def _pulls(naming: Names, consumer: str) -> tuple[str, ...]:
    """Pull deliveries, and ack them. A server with a JetStream domain adds it and an account's hash to the subject."""
    return (
        f"{_API}.CONSUMER.MSG.NEXT.{naming.sessions_stream}.{consumer}",
        f"$JS.ACK.{naming.sessions_stream}.{consumer}.>",
        f"$JS.ACK.*.*.{naming.sessions_stream}.{consumer}.>",
    )


def _closes(naming: Names) -> tuple[str, ...]:
    """Write reports, send the final one to `replyTo`, delete the request and the pieces of its text."""
    return (
        naming.put_report("*", "*"),
        f"{naming.front}.reply.>",
        *_streams("STREAM.MSG.DELETE", naming.sessions_stream),
        *_streams("STREAM.PURGE", naming.texts_stream),
    )


def _peers(naming: Names, service: str) -> tuple[str, ...]:
    return (naming.peer(service, "*"), naming.peers(service))


def _synth(naming: Names) -> Rights:
    objects = f"OBJ_{naming.phrases_bucket}"
    publish = (
        *_keeps(naming),
        *_streams("STREAM.UPDATE", *naming.streams),
        *_pulls(naming, SYNTH),
        *_reads(
            naming.sessions_stream,
            naming.audio_stream,
            naming.reports_stream,
            naming.heard_stream,
            naming.texts_stream,
            naming.heartbeats_stream,
        ),
        *_closes(naming),
        naming.put_heard("*", "*"),
        *_streams("STREAM.MSG.DELETE", naming.texts_stream),  # pieces that nobody will speak
        naming.put_audio("*", "*"),
        naming.text("*", "*"),  # the mark of a stalled text
        naming.heartbeat_key("*"),  # the mark of a synth that is gone
        *(f"{_API}.STREAM.{call}.{objects}" for call in ("INFO", "CREATE", "UPDATE", "DELETE", "PURGE")),
        *_streams("DIRECT.GET", objects),
        f"$O.{naming.phrases_bucket}.C.*",
        f"$O.{naming.phrases_bucket}.M.*",
        *naming.with_front(naming.load),
        # Not by `answers`: the server would remember each question about voices, and log each answer that comes late.
        CROSS_ACCOUNT_ANSWERS,
        *_peers(naming, SYNTH),
    )
    subscribe = (
        naming.session_events("*"),  # cancels, and requests that supersede
        naming.cancel("*"),
        naming.report("*", "*"),
        naming.heard("*", "*"),
        naming.script("*", "*"),
        naming.load,
        *_peers(naming, SYNTH),
        *naming.with_front(naming.voices),
        *SERVICE_API,
    )
    return Rights(publish, subscribe, answers=True)


def _bridge(naming: Names, kind: str) -> Rights:
    publish = (
        *_keeps(naming),
        *_pulls(naming, kind),
        *_reads(
            naming.sessions_stream,
            naming.audio_stream,
            naming.reports_stream,
            naming.heard_stream,
            naming.owners_stream,
            naming.heartbeats_stream,
        ),
        *_closes(naming),
        naming.put_heard("*", "*"),
        *_streams("STREAM.MSG.DELETE", naming.owners_stream, naming.heartbeats_stream),
        naming.owner_key(kind, "*"),
        naming.heartbeat_key("*"),
        *_peers(naming, kind),
        *((naming.progress("*", "*"),) if kind == BRIDGE_OF["websocket"] else ()),
    )
    subscribe = (
        naming.session_events("*"),
        naming.report("*", "*"),
        naming.heard("*", "*"),
        naming.audio("*", "*"),
        *_peers(naming, kind),
    )
    return Rights(publish, subscribe)


def _gateway(naming: Names, accounts: Sequence[str]) -> Rights:
    front = naming.of_front  # HTTP goes through it
    publish = (
        *_keeps(naming),
        *_reads(naming.sessions_stream, naming.audio_stream, naming.reports_stream, naming.heard_stream),
        front.request("*"),
        *(naming.ingest_subject(account, "*") for account in accounts),
        front.cancel("*"),
        front.text("*", "*"),
        front.voices,
        *read_services(front),
        # Not by `answers`: the server would remember each request for as long as a caller may wait.
        CROSS_ACCOUNT_ANSWERS,
    )
    subscribe = (
        *naming.with_front(naming.speak),
        naming.asked_subject("*", f"{naming.prefix}.>"),
        naming.relay_subject("*", "request", "*"),
        naming.relay_subject("*", "cancel", "*"),
        *read_services(naming),
        naming.session_events("*"),
        naming.report("*", "*"),
        naming.heard("*", "*"),
        naming.audio("*", "*"),
        naming.progress("*", "*"),
        front.load,
        *SERVICE_API,
    )
    return Rights(publish, subscribe, answers=True)


def _operator(naming: Names) -> Rights:
    everything = (*naming.with_front(f"{naming.prefix}.>"), "$JS.>", "$KV.>", "$O.>", "$SRV.>")
    return Rights(everything, everything)
