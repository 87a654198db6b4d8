"""Streams and consumers: look at them, create, change and delete them. One function per call of the JetStream API.

Each function returns the server's answer, which holds an `error` when the server refused (`checked` raises it). Each
repeats its call for up to `patience_s` seconds while no answer comes or the server is busy; then it returns the busy
error, or raises NodeUnavailable if no answer came. All are cancel-safe.

Source: the JetStream API of nats-server 2.11 and later (`$JS.API.…`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from orastream.contract.errors import NodeUnavailable
from orastream.jetstream.api import ELECTION_S, JetStream
from orastream.jetstream.api_errors import described
from orastream.jetstream.place import parse_time
from orastream.jetstream.server_clock import Sample

__all__ = [
    "Fill",
    "account_info",
    "checked",
    "consumer_info",
    "create_consumer",
    "create_stream",
    "delete_consumer",
    "delete_stream",
    "fill",
    "stream_info",
    "time_sample",
    "update_stream",
]


def checked(name: str, answer: dict[str, Any], *fields: str) -> dict[str, Any]:
    """Return the answer about the stream or consumer `name`.

    Raises NodeUnavailable if it holds an error, or lacks one of `fields`: then another service answers this subject.
    """
    if "error" in answer:
        raise NodeUnavailable(f"{name}: {described(answer['error'])}")
    if missing := [field for field in fields if field not in answer]:
        raise NodeUnavailable(f"{name}: the answer lacks {', '.join(missing)}; does another service answer?")
    return answer


async def account_info(js: JetStream, *, patience_s: float = ELECTION_S) -> dict[str, Any]:
    """Return the limits of this account and the number of its `streams` and `consumers`."""
    return await js.api("INFO", patience_s=patience_s)


async def stream_info(
    js: JetStream, stream: str, *, subjects: str | None = None, offset: int = 0, patience_s: float = ELECTION_S
) -> dict[str, Any]:
    """Return `config`, `created` and `state` of a stream.

    With `subjects` (a subject, wildcards allowed), `state.subjects` also has the number of messages of each subject
    that matches, at most 100 000 from the `offset`th on; `total` is how many match. The answer about TTS_SESSIONS is
    also a sample for `js.clock`.
    """
    body = None if subjects is None else {"subjects_filter": subjects, "offset": offset}
    sent_at = time.monotonic()
    answer = await js.api(f"STREAM.INFO.{stream}", body, patience_s=patience_s)
    if stream == js.names.sessions_stream and (sample := time_sample(answer, sent_at, time.monotonic())) is not None:
        js.clock.add(sample)
    return answer


def time_sample(answer: Mapping[str, Any], sent_at: float, received_at: float) -> Sample | None:
    """Return the server time in a stream's INFO, with the name of the server that leads the stream; None without one.

    The server reads its clock between the two times, also if the call was repeated in between. A server that has just
    stopped to lead may answer too, without a leader's name.
    """
    cluster = answer.get("cluster")
    leader = cluster.get("leader") if isinstance(cluster, dict) else None
    if not leader:
        return None
    try:
        return Sample(parse_time(str(answer.get("ts"))), sent_at, received_at, str(leader))
    except ValueError:
        return None


class Fill(NamedTuple):
    """How full a stream is. `max_bytes` is 0 without a limit."""

    stored_bytes: int
    max_bytes: int


async def fill(js: JetStream, stream: str, *, patience_s: float = ELECTION_S) -> Fill:
    """Return how full a stream is. Raises NodeUnavailable, also when the server answers with an error."""
    answer = checked(stream, await stream_info(js, stream, patience_s=patience_s), "state", "config")
    return Fill(int(answer["state"].get("bytes", 0)), max(0, int(answer["config"].get("max_bytes", 0))))


async def create_stream(js: JetStream, config: Mapping[str, Any], *, patience_s: float = ELECTION_S) -> dict[str, Any]:
    """Create the stream that `config` describes. Safe to repeat with the same `config`."""
    return await js.api(f"STREAM.CREATE.{config['name']}", dict(config), patience_s=patience_s)


async def update_stream(js: JetStream, config: Mapping[str, Any], *, patience_s: float = ELECTION_S) -> dict[str, Any]:
    """Change the stream of that name to `config`. Never pass `first_seq`: the server would delete messages for it."""
    return await js.api(f"STREAM.UPDATE.{config['name']}", dict(config), patience_s=patience_s)


async def delete_stream(js: JetStream, stream: str, *, patience_s: float = ELECTION_S) -> dict[str, Any]:
    """Delete a stream with all its messages. A repeated call may answer that the stream does not exist."""
    return await js.api(f"STREAM.DELETE.{stream}", patience_s=patience_s)


async def consumer_info(js: JetStream, stream: str, consumer: str, *, patience_s: float = ELECTION_S) -> dict[str, Any]:
    """Return `config` and the counters of a consumer (`num_pending`, `num_ack_pending`, `num_waiting`, …)."""
    return await js.api(f"CONSUMER.INFO.{stream}.{consumer}", patience_s=patience_s)


async def create_consumer(
    js: JetStream,
    stream: str,
    config: Mapping[str, Any],
    *,
    only_new: bool = False,
    patience_s: float = ELECTION_S,
) -> dict[str, Any]:
    """Create a consumer, or change the one of that `durable_name` or `name`. The answer holds its `name`.

    Without a name the server gives one, and a repeat of the call may create a second consumer. With `only_new` the
    server refuses to change a consumer that exists with another configuration.
    """
    call = f"CONSUMER.CREATE.{stream}"
    # The server checks the permission on the longer subject, and refuses one that differs from the configuration.
    if (name := config.get("durable_name") or config.get("name")) is not None:
        call += f".{name}"
        if "filter_subject" in config:
            call += f".{config['filter_subject']}"
    body = {"stream_name": stream, "config": dict(config)} | ({"action": "create"} if only_new else {})
    return await js.api(call, body, patience_s=patience_s)


async def delete_consumer(
    js: JetStream, stream: str, consumer: str, *, patience_s: float = ELECTION_S
) -> dict[str, Any]:
    """Delete a consumer."""
    return await js.api(f"CONSUMER.DELETE.{stream}.{consumer}", patience_s=patience_s)
