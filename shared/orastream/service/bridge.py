"""Runs a `Bridge` as a service with metrics and log lines. A bridge's `__main__` passes it to `lifecycle.run`."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import AsyncIterator, Mapping

from orastream.base import logger
from orastream.contract.messages import Report
from orastream.delivery.post.sink import HttpSink, http_client
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.runtime.bridge import Bridge
from orastream.delivery.sink import Sink
from orastream.service import lifecycle
from orastream.service.metrics import DeliveryMetrics
from orastream.service.settings import BridgeSettings, accounts_of
from orastream.service.usage import UsageMetrics
from orastream.tls import ClientTls

SPARE_FILES = 128
"""Open files of a bridge besides the connections of its sessions."""

log = logger.named(__name__)


@contextlib.asynccontextmanager
async def post_sink(settings: BridgeSettings, url: str, tls: ClientTls) -> AsyncIterator[HttpSink]:
    """The sink that POSTs to `url`, while the context is open. `tls` is used for https."""
    rules = DeliveryRules(
        max_retries=settings.websocket_max_retries,
        stall_s=settings.synth_stall_seconds,
        audio_retention_s=settings.tts_audio_retention_seconds,
        heard_records=settings.heard_records,
    )
    async with http_client(settings.authorization) as client:
        yield HttpSink(client, url, rules, tls, metadata_rate=settings.websocket_metadata == "rate")


def possible_sessions(wanted: int) -> int:
    """How many sessions this process can serve, at most `wanted`: each needs a connection. Raises its limit of open
    files as far as the system allows, and logs a warning if that is too low.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft - SPARE_FILES >= wanted:
        return wanted
    possible = max(1, soft - SPARE_FILES)
    fix = "raise the limit of open files (ulimit -n, LimitNOFILE, ulimits in compose), or lower BRIDGE_MAX_SESSIONS"
    log.warning("fewer sessions than BRIDGE_MAX_SESSIONS", sessions=possible, open_files=soft, fix=fix)
    return possible


def serve_bridge(
    settings: BridgeSettings,
    *,
    kind: str,
    sink: Sink,
    events: Mapping[str, str],
    name: str | None = None,
) -> lifecycle.Serve:
    """The coroutine function that runs a bridge of `kind` until `process.stop` is set.

    `events` maps `begins` and report statuses to the log lines that the contract fixes. `name` is that of the bridge
    process; None: a new one.
    """

    async def serve(process: lifecycle.Process) -> None:
        usage = UsageMetrics(process.metrics, accounts_of(settings.tts_callers))
        counts = DeliveryMetrics(process.metrics, kind, usage.ended)

        def announce(event: str, entry: Entry, report: Report | None) -> None:
            about = {"session": entry.stored.session_id, "request": entry.stored.request_id}
            if event == "begins":
                log.info(events.get("begins", "delivery begins"), **about)
                return
            if report is None:
                return
            request = entry.stored.request
            # Without streamed texts: their times depend on how fast the writer writes.
            if report.status == "delivered" and request is not None and not request.text_stream:
                counts.first_audio.observe((report.first_audio_ms or 0) / 1000)
                counts.transfer.observe((report.transfer_ms or 0) / 1000)
                counts.underruns.inc(report.underruns)
                counts.underrun_s.inc(report.underrun_ms / 1000)
            elif report.status == "cancelled" and entry.cancelled_at_s is not None:
                counts.cancel.observe(process.js.clock.age_s(entry.cancelled_at_s))
            log.info(
                events.get(report.status, f"delivery {report.status}"),
                **about,
                status=report.status,
                chunks=report.delivered_chunks,
                bytes=report.bytes,
                audio_s=report.audio_seconds,
                first_audio_ms=report.first_audio_ms,
                transfer_ms=report.transfer_ms,
                reconnects=report.reconnects,
                retransmitted=report.retransmitted,
                rtf=report.rtf,
                underruns=report.underruns,
                underrun_ms=report.underrun_ms,
                error=report.error.code if report.error else None,
            )

        max_sessions = possible_sessions(settings.bridge_max_sessions)
        bridge = Bridge(
            process.js,
            kind=kind,
            sink=sink,
            max_sessions=max_sessions,
            max_text_chars=settings.tts_max_text_chars,
            counts=counts,
            announce=announce,
            name=name,
        )
        process.metrics.gauge(f"orastream_{kind}_sessions", "Sessions owned now", lambda: float(len(bridge.table)))
        process.metrics.gauge(
            f"orastream_{kind}_max_sessions", "Sessions that it may own at the same time", lambda: float(max_sessions)
        )
        process.metrics.gauge(
            f"orastream_{kind}_sessions_without_work",
            "Owned sessions without stored requests or deliveries; each is released after its idle time",
            lambda: float(bridge.table.without_work),
        )
        process.metrics.gauge(
            f"orastream_{kind}_sessions_at_rest",
            "Of these, sessions that rest: they keep their connection and little memory",
            lambda: float(bridge.table.at_rest),
        )
        process.metrics.gauge(
            f"orastream_{kind}_lease_valid",
            "1 while the lease is valid, so that this bridge may write to OraServer",
            lambda: float(bridge.lease_valid),
        )
        process.checks.append(bridge.lacking)
        process.keeper.on_renewed(bridge.renewed)
        process.keeper.on_sequences_back(bridge.sequences_back)
        process.ready()
        await bridge.run(process.stop, settings.drain.work_s)

    return serve
