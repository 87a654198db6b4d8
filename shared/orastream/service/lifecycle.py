"""Runs a service process from start to exit: settings, logs, event loop, signals, NATS, health, `serve`, drain.

A signal only sets an event. Exit codes: 0 after a signal, 2 for invalid settings or arguments, 1 for anything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from orastream import traces
from orastream.base import logger, tasks
from orastream.base.drain import Drain
from orastream.broker import Broker
from orastream.contract.errors import NodeUnavailable, NotConnected, OrastreamError, SettingsError
from orastream.jetstream import topology
from orastream.jetstream.api import JetStream
from orastream.service import arguments, health, keeper, logging, malloc, memory
from orastream.service.keeper import StreamKeeper
from orastream.service.metrics import Metrics
from orastream.service.settings import NodeSettings, adopt_standard
from orastream.service.unknown_settings import correction, unknown_names

ROUND_TRIP_S = 2.0

LAST_TRACES_S, MIN_LAST_TRACES_S = 2.0, 0.3
"""Maximum time to export the last spans: while the drain deadline allows it, and after the deadline."""

log = logger.named(__name__)


@dataclass(slots=True)
class Process:
    """What a running service gets. `unready` says why it has not started yet; None once it has."""

    js: JetStream
    metrics: Metrics
    stop: asyncio.Event
    keeper: StreamKeeper
    unready: str | None = "starting"
    was_ready: bool = False
    checks: list[Callable[[], str | None]] = field(default_factory=list)
    """The service's own readiness checks; each returns why the service cannot work, or None."""
    ports: dict[str, int] = field(default_factory=dict)
    """The ports on which the process listens, by the setting's name in lower case; logged when it is ready."""

    def ready(self) -> None:
        """Report that the service accepts work from now on."""
        self.unready = None
        self.was_ready = True
        log.info("ready", **self.ports)

    async def lacking(self) -> str | None:
        """Why the service cannot work now, or None. Checks `unready`, then NATS, the streams, and the service's checks.

        Takes at most 2 s.
        """
        if self.unready is not None:
            return self.unready
        silent, lost = await asyncio.gather(self._silent(), self.keeper.lacking())
        if silent is not None:
            return silent
        # During a reconnect the NATS client's flush returns at once, so the round trip proves nothing.
        if not self.js.broker.connected:
            return "NATS is disconnected"
        reasons = (check() for check in self.checks)
        return lost or next((reason for reason in reasons if reason is not None), None)

    async def _silent(self) -> str | None:
        try:
            await self.js.broker.round_trip(ROUND_TRIP_S)
        except NodeUnavailable as exc:
            return str(exc)
        return None


C = TypeVar("C", bound=NodeSettings)
T = TypeVar("T")
Serve = Callable[[Process], Awaitable[None]]


def run(
    name: str,
    settings: type[C],
    serve: Callable[[C], Serve],
    *,
    about: str | None,
    change_streams: bool = False,
    serves_health: bool = False,
) -> int:
    """Run a service until SIGTERM or SIGINT. Returns the exit code.

    `about` is the docstring of the service's `__main__`, which `--help` prints. Only synth sets `change_streams`. With
    `serves_health` the service (gateway) serves `/healthz`, `/readyz` and `/metrics` on its own port, and
    TTS_HEALTH_PORT is not opened.
    """
    answered = arguments.answer(name, about or name, sys.argv[1:])
    if answered is not None:
        return answered
    try:
        loaded = settings.load()
        logging.configure(name, level=loaded.tts_log_level, style=loaded.tts_log_format, directory=loaded.tts_log_dir)
    except SettingsError as exc:
        print(f"{name}: {exc}", file=sys.stderr)  # noqa: T201 - logging is not configured yet
        return 2
    for unknown in unknown_names():
        log.warning("unknown setting; a typing error?", setting=unknown, fix=correction(unknown))
    adopt_standard("OTEL_")
    end_traces = traces.start(f"orastream-{name}", os.environ)
    life = _Life(loaded.drain)
    # The garbage collector would use a tenth of a busy bridge's CPU: freeze the objects loaded so far, which live as
    # long as the process, and collect less often. Chunks and frames are freed by their reference counts.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    malloc.keep()
    try:
        uvloop.run(_main(name, loaded, serve(loaded), change_streams, serves_health, life))
    except SettingsError as exc:
        log.error("cannot start", error=str(exc))
        return 2
    except OrastreamError as exc:
        log.error("ended", error=str(exc))
        return 1
    finally:
        if life.process is not None and life.process.was_ready:
            log.info("stopped")
        end_traces(min(LAST_TRACES_S, max(MIN_LAST_TRACES_S, life.left_s())))
    return 0


@dataclass(slots=True)
class _Life:
    """What `run` must know when `_main` has ended."""

    drain: Drain
    process: Process | None = None
    """None until NATS was connected."""
    ends_at_s: float | None = None
    """The monotonic time by which the process must exit; None until a signal."""

    def left_s(self) -> float:
        return self.drain.seconds if self.ends_at_s is None else self.ends_at_s - time.monotonic()


async def _main(
    name: str, settings: NodeSettings, serve: Serve, change_streams: bool, serves_health: bool, life: _Life
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    inbox = settings.nats_inbox_prefix
    broker = Broker(
        settings.nats_url, name=name, prefix=settings.tts_prefix, access=settings.nats_access, inbox_prefix=inbox
    )
    if await _unless_stopped(broker.__aenter__(), stop) is None:
        return
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_exit(broker)
        metrics = Metrics()
        js = JetStream(broker)
        needs = [*keeper.needed_streams(broker.names, name), *({name} & topology.consumer_names())]
        process = Process(js, metrics, stop, StreamKeeper(js, settings.limits, change=change_streams, needs=needs))
        life.process = process
        reconnects = metrics.counter("orastream_nats_reconnects", "Reconnects to NATS")
        broker.on_reconnect(reconnects.inc)
        metrics.gauge("orastream_nats_connected", "1 while NATS is connected", lambda: float(broker.connected))
        metrics.gauge(
            "orastream_nats_clock_skew_seconds",
            "Seconds by which this host's clock is ahead of the NATS server's",
            js.clock.skew_s,
        )
        metrics.total(
            "orastream_nats_backfilled_messages",
            "Messages read from their stream because the live copy was lost or late",
            lambda: broker.repairs.backfilled,
        )
        metrics.total(
            "orastream_nats_resent_messages",
            "Messages published again because no ack came in time",
            lambda: broker.repairs.resent,
        )
        metrics.total(
            "orastream_nats_discarded_messages",
            "Stored messages deleted because their subject names no valid session",
            lambda: broker.repairs.discarded,
        )
        metrics.total(
            "orastream_nats_protocol_errors",
            "Connections to NATS closed because of bytes that are not NATS protocol",
            lambda: broker.repairs.protocol_errors,
        )
        if not serves_health:
            process.ports["health_port"] = await stack.enter_async_context(
                health.serve(settings.tts_host, settings.tts_health_port, metrics=metrics, lacking=process.lacking)
            )
        await _unless_stopped(_ensure(process), stop)
        if stop.is_set():
            return
        keep = asyncio.create_task(process.keeper.run(), name="keeper")
        watch = asyncio.create_task(_closed(broker))
        work = asyncio.create_task(_run(serve, process))
        deadline = asyncio.create_task(_deadline(process, life))
        trim = asyncio.create_task(memory.return_unused(), name="memory")
        try:
            await asyncio.wait({keep, watch, work, deadline}, return_when=asyncio.FIRST_COMPLETED)
            if keep.done():
                await keep
            if deadline.done():
                log.warning("the drain took too long; what was not handed back runs out by itself")
            elif not work.done():
                await tasks.end(work)
                raise NotConnected("NATS closed the connection for good; the process exits, to be restarted")
            else:
                await work
        finally:
            await tasks.end(keep, watch, work, deadline, trim)


async def _unless_stopped(work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T | None:
    """Return what `work` returns, or None when `stop` is set before. Raises what `work` raises."""
    working, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if working.done():
        return working.result()
    await tasks.end(working)
    return None


async def _ensure(process: Process) -> None:
    """Return once the streams and consumers exist. Raises SettingsError."""
    while True:
        try:
            await process.keeper.ensure()
            return
        except NodeUnavailable as exc:
            if process.unready != str(exc):
                process.unready = str(exc)
                log.warning("the streams are not there yet", error=str(exc))
            await asyncio.sleep(1.0)


async def _run(serve: Serve, process: Process) -> None:
    await serve(process)


async def _deadline(process: Process, life: _Life) -> None:
    """Return `Drain.tasks_s` after `stop` was set."""
    await process.stop.wait()
    life.ends_at_s = time.monotonic() + life.drain.seconds
    process.js.calls.end(asyncio.get_running_loop().time() + life.drain.calls_s)
    await asyncio.sleep(life.drain.tasks_s)


async def _closed(broker: Broker) -> None:
    await broker.closed.wait()
