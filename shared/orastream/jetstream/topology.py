"""The configuration of the node's streams and consumers, and the functions that create them (called by `keeper.py`).

Publishers write to ingest subjects. The stream's subject transform renames each message when it is stored, and
`republish` sends exactly what was stored to live readers. So nobody acts on a message that is not stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from orastream.base import logger
from orastream.contract.errors import NodeUnavailable, OrastreamError, SettingsError
from orastream.contract.names import BRIDGES, SYNTH, Names
from orastream.jetstream import management
from orastream.jetstream.api import ELECTION_S, JetStream
from orastream.jetstream.api_errors import Meaning, described, meaning
from orastream.jetstream.stream_limits import MAX_MESSAGES_PER_TEXT, size_setting, without_reserve
from orastream.jetstream.stream_limits import StreamLimits as StreamLimits

HEARTBEAT_LIFE_S = 3.0
SYNTH_ACK_WAIT_S = 6.0
BRIDGE_ACK_WAIT_S = 4.0
REPORT_LIFE_S = 3600

_NS = 1_000_000_000
_FIRST, _SECOND = "{{wildcard(1)}}", "{{wildcard(2)}}"
"""Tokens in a mapping of nats-server."""
SEQUENCE_GAP = 1_000_000
"""Gap between the last sequence seen of a lost stream and the first one of the stream that replaces it."""

log = logger.named(__name__)


def stream_configs(names: Names, limits: StreamLimits) -> list[dict[str, Any]]:
    """The JetStream configuration of each stream."""
    common = {
        "num_replicas": limits.replicas,
        "storage": "file",
        "retention": "limits",
        "allow_direct": True,
        "discard": "new",
    }
    key_value = {"max_msgs_per_subject": 1, "discard": "old", "allow_rollup_hdrs": True}
    return [
        common
        | {
            "name": names.sessions_stream,
            "subjects": [
                names.request("*"),
                names.cancel("*"),
                *(names.ingest_subject(account, "*") for account in limits.callers),
            ],
            "subject_transform": {"src": f"{names.prefix}.*.*", "dest": names.session_events(_SECOND)[:-1] + _FIRST},
            "republish": _live(names.session_events("*")),
            "max_age": 3600 * _NS,
            "max_msgs_per_subject": limits.max_pending_per_session,
            "discard_new_per_subject": True,
            "max_bytes": limits.sessions_max_bytes,
            "max_msg_size": limits.max_request_bytes,
        },
        common
        | {
            "name": names.audio_stream,
            "subjects": [names.put_audio("*", "*")],
            "subject_transform": {"src": names.put_audio("*", "*"), "dest": names.audio(_FIRST, _SECOND)},
            "republish": _live(names.audio("*", "*")),
            "max_age": limits.audio_retention_s * _NS,
            "max_bytes": limits.audio_max_bytes,
        },
        common
        | {
            "name": names.reports_stream,
            "subjects": [names.put_report("*", "*")],
            "subject_transform": {"src": names.put_report("*", "*"), "dest": names.report(_FIRST, _SECOND)},
            "republish": _live(names.report("*", "*")),
            "max_age": REPORT_LIFE_S * _NS,
            "max_msgs_per_subject": 1,
            "discard": "old",
            "max_bytes": limits.reports_max_bytes,
        },
        common
        | {
            "name": names.heard_stream,
            "subjects": [names.put_heard("*", "*")],
            "subject_transform": {"src": names.put_heard("*", "*"), "dest": names.heard(_FIRST, _SECOND)},
            "republish": _live(names.heard("*", "*")),
            "max_age": REPORT_LIFE_S * _NS,
            "max_msgs_per_subject": 1,
            "discard": "old",
            "max_bytes": limits.heard_max_bytes,
        },
        common
        | {
            "name": names.texts_stream,
            "subjects": [names.text("*", "*")],
            "subject_transform": {"src": names.text("*", "*"), "dest": names.script(_FIRST, _SECOND)},
            "republish": _live(names.script("*", "*")),
            "max_age": 3600 * _NS,
            "max_msgs_per_subject": MAX_MESSAGES_PER_TEXT,
            "discard_new_per_subject": True,
            "max_bytes": limits.texts_max_bytes,
            "max_msg_size": limits.max_piece_bytes,
        },
        common | key_value | {"name": names.owners_stream, "subjects": [names.owner_keys]},
        # Not `persist_mode: async`, although they live for 3 s: a heartbeat that a killed server forgets would let
        # another bridge take sessions whose owner still writes (docs/decisions/017).
        common
        | key_value
        | {
            "name": names.heartbeats_stream,
            "subjects": [names.heartbeat_keys],
            "max_age": int(HEARTBEAT_LIFE_S * _NS),
        },
    ]


def _live(stored: str) -> dict[str, str]:
    """Republish what is stored under a filter `<…>.*.*`, unchanged."""
    subject = stored.removesuffix("*.*") + ">"
    return {"src": subject, "dest": subject}


def consumer_configs(names: Names, callers: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The durable consumers on TTS_SESSIONS: synth takes requests; requests and cancels wake each kind of bridge.

    `callers` are the accounts of `StreamLimits`.
    """
    common = {"ack_policy": "explicit", "max_deliver": -1, "deliver_policy": "all", "max_ack_pending": 100_000}
    requests = names.session_request("*")
    synth = common | {
        "durable_name": SYNTH,
        **(
            {"filter_subjects": [requests, *map(names.stored_filter, callers)]}
            if callers
            else {"filter_subject": requests}
        ),
        "ack_wait": int(SYNTH_ACK_WAIT_S * _NS),
    }
    bridges = [
        common
        | {"durable_name": kind, "filter_subject": names.session_events("*"), "ack_wait": int(BRIDGE_ACK_WAIT_S * _NS)}
        for kind in BRIDGES
    ]
    return [synth, *bridges]


def consumer_names() -> frozenset[str]:
    """The names of the durable consumers; each is the name of the service that pulls from it."""
    return frozenset((SYNTH, *BRIDGES))


class Found(NamedTuple):
    """A stream or consumer that exists."""

    created: str
    """When it was created, by the server's clock."""
    by_us: bool
    """Whether this call has created it."""
    last_seq: int = 0
    """The highest sequence of a stream so far; 0 for a consumer."""
    forgets: bool = False
    """The stream may lose its newest messages when its server is killed, and then reuses their sequences."""


async def ensure_stream(
    js: JetStream, config: dict[str, Any], *, change: bool = False, above: int = 0, patience_s: float = ELECTION_S
) -> Found:
    """Create the stream if it is missing; with `change` (synth only) also update an existing one to `config`.

    The sequences of a created stream begin above `above`, even if the clock was set back. `persist_mode: async` in
    `config` means that the stream is a cache: the server acks its messages before it writes them. It applies to a new
    stream with one replica; an existing stream keeps its mode. An async stream that needs more replicas is deleted and
    created again. Several processes may call this at the same time, and it is safe to repeat. Raises NodeUnavailable,
    SettingsError.
    """
    name = config["name"]
    there = await management.stream_info(js, name, patience_s=patience_s)
    if _lacks(f"stream {name}", there):
        # From the time in µs, so that a stream that replaces a lost one never repeats a sequence: readers, fences and
        # acks compare them. Never in an update: the server would delete all messages below it at its next start.
        first_seq = max(int(js.clock.now_s() * 1e6), above + SEQUENCE_GAP if above else 0)
        new = config_to_create(config) | {"first_seq": first_seq}
        made = await management.create_stream(js, new, patience_s=patience_s)
        if (smaller := without_reserve(new, made.get("error") or {}, {})) is not None:
            _log_no_room(name, made["error"], without=True)
            made = await management.create_stream(js, smaller, patience_s=patience_s)
        if not _created_by_another(f"stream {name}", made):
            log.info("stream created", stream=name)
            return _found(made, by_us=True)
        there = await management.stream_info(js, name, patience_s=patience_s)
        _lacks(f"stream {name}", there)
    if not change:
        return _found(there)
    present = there.get("config", {})
    wanted = config_to_update(config, present)
    if wanted is None:
        log.warning("cache deleted: the server cannot replicate it as it was created", stream=name)
        _lacks(f"stream {name}", await management.delete_stream(js, name, patience_s=patience_s))
        above = max(above, _found(there).last_seq)
        return await ensure_stream(js, config, change=change, above=above, patience_s=patience_s)
    if any(present.get(key) != value for key, value in wanted.items()):
        changed = await management.update_stream(js, wanted, patience_s=patience_s)
        if (smaller := without_reserve(wanted, changed.get("error") or {}, present)) is not None:
            kept = int(smaller["max_bytes"])
            _log_no_room(name, changed["error"], without=kept <= 0)
            if all(present.get(key) == value for key, value in smaller.items()):
                return _found(there)  # a server that has reserved too much refuses even an update that changes nothing
            changed = await management.update_stream(js, smaller, patience_s=patience_s)
        if changed.get("error"):
            raise _refused(f"stream {name}", changed["error"], size_setting(name))
        log.info("stream brought to the settings", stream=name)
    return _found(there)


def _log_no_room(name: str, error: Mapping[str, Any], *, without: bool) -> None:
    """Log that a stream is `without` the limit of the settings, or keeps the one that it has."""
    setting = size_setting(name)
    until = "until then callers can fill the server" if without else "until then the stream keeps the size that it has"
    fix = f"raise max_file_store of nats-server, or lower {setting}; {until}"
    said = described(error, setting)
    log.warning("no room on the server for the limit of a stream", stream=name, error=said, fix=fix)


def config_to_create(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` for a new stream: without `persist_mode` if it has replicas, because the server refuses both. Pure."""
    replicated = config["num_replicas"] > 1
    return {key: value for key, value in config.items() if not (replicated and key == "persist_mode")}


def config_to_update(config: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any] | None:
    """`config` for an update of the stream that has the configuration `there`. Pure.

    It keeps the stream's `persist_mode`: the server refuses an update that changes it, or leaves `async` out. None for
    an async cache that needs more replicas, which no update can give it.
    """
    mode = there.get("persist_mode")
    if config.get("persist_mode") == mode == "async" and config["num_replicas"] > 1:
        return None
    kept = {key: value for key, value in config.items() if key != "persist_mode"}
    return kept if mode is None else kept | {"persist_mode": mode}


async def ensure_consumer(
    js: JetStream, config: dict[str, Any], *, change: bool = False, above: int = 0, patience_s: float = ELECTION_S
) -> Found:
    """Create a consumer on TTS_SESSIONS if it is missing; see `ensure_stream`. `above` has no effect."""
    name = config["durable_name"]
    stream = js.names.sessions_stream
    there = await management.consumer_info(js, stream, name, patience_s=patience_s)
    lacks = _lacks(f"consumer {name}", there)
    differs = any(there.get("config", {}).get(key) != value for key, value in config.items())
    if not lacks and not (change and differs):
        return _found(there)
    made = await management.create_consumer(js, stream, config, only_new=lacks, patience_s=patience_s)
    if _created_by_another(f"consumer {name}", made):
        return await ensure_consumer(js, config, patience_s=patience_s)
    if lacks:
        log.info("consumer created", consumer=name)
    return _found(made, by_us=lacks)


def _found(answer: Mapping[str, Any], *, by_us: bool = False) -> Found:
    state = answer.get("state")
    last_seq = state.get("last_seq", 0) if isinstance(state, dict) else 0
    config = answer.get("config")
    forgets = isinstance(config, dict) and config.get("persist_mode") == "async"
    return Found(str(answer.get("created")), by_us, last_seq if isinstance(last_seq, int) else 0, forgets)


def _lacks(name: str, answer: Mapping[str, Any]) -> bool:
    """Whether the stream or consumer does not exist. Raises any other error in the answer."""
    error = answer.get("error")
    if error and meaning(error) not in (Meaning.NO_STREAM, Meaning.NO_CONSUMER):
        raise _refused(name, error)
    return bool(error)


def _created_by_another(name: str, answer: Mapping[str, Any]) -> bool:
    """Whether another process has created it in the meantime. Raises any other error in the answer."""
    error = answer.get("error")
    if error and meaning(error) is not Meaning.EXISTS:
        raise _refused(name, error, size_setting(name))
    return bool(error)


def _refused(name: str, error: Mapping[str, Any], setting: str | None = None) -> OrastreamError:
    text = f"{name}: {described(error, setting)}"
    return SettingsError(text) if meaning(error) is Meaning.SETTINGS else NodeUnavailable(text)
