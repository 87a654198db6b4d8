"""Creates missing streams and consumers while a service runs, and reports which of them it lacks.

It checks at a start, every CHECK_S seconds, after a reconnect, and when an answer suggests that something is missing
(`Broker.missing`). It creates what is missing. The content of a lost stream is lost; the log says so once.

Each later check also stores a message: a server without room refuses all writes while its streams look well. Each
check samples the server's clock (`JetStream.clock`), at no cost; a host whose clock differs is logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from orastream.base import logger
from orastream.base.backoff import Backoff
from orastream.contract.errors import NodeUnavailable, OrastreamError, PublishRefused, SettingsError
from orastream.contract.names import BRIDGES, SYNTH, Names
from orastream.jetstream import management, topology
from orastream.jetstream.api import JetStream
from orastream.jetstream.server_clock import MAX_SKEW_S
from orastream.jetstream.stream_limits import StreamLimits, room_setting
from orastream.jetstream.topology import Found

CHECK_S = 5.0
FIRST_AGAIN_S = 0.25
"""Minimum delay between two requested checks; it doubles up to CHECK_S, so that checks do not flood the server."""
FRESH_S = 1.0
"""Readiness uses the result of the last check if it is younger than this."""
PATIENCE_S = 2.0
"""Timeout of each API call of a check."""
TRIAL_S = 1.0
"""Timeout of the trial write of a check. A check without answers must end within PATIENCE_S, for `/readyz`."""

Ensure = Callable[..., Awaitable[Found]]
"""`ensure_stream` or `ensure_consumer`."""


def needed_streams(names: Names, service: str) -> tuple[str, ...]:
    """The streams without which a service is not ready. Raises KeyError for another service."""
    sessions, audio, reports, _heard, texts, owners, heartbeats = names.streams  # speech goes on without `_heard`
    delivery = (sessions, audio, reports, owners, heartbeats)
    needed = {SYNTH: (sessions, audio, reports, texts), "gateway": (sessions, reports)}
    return (needed | dict.fromkeys(BRIDGES, delivery))[service]


log = logger.named(__name__)


class StreamKeeper:
    """Call `ensure()` at the start, then `run()` as a task. For one event loop.

    With `change` (synth) it updates existing streams to `limits`: in `ensure`, and after another service has created
    one again.
    """

    def __init__(self, js: JetStream, limits: StreamLimits, *, change: bool = False, needs: Iterable[str] = ()) -> None:
        """`needs` names the streams and consumers without which the service is not ready."""
        self._js = js
        self._change = change
        self._needs = frozenset(needs)
        self._streams = topology.stream_configs(js.names, limits)
        self._consumers = topology.consumer_configs(js.names, limits.callers)
        self._created: dict[str, str] = {}
        self._last_seq: dict[str, int] = {}
        """The highest sequence seen of each stream."""
        self._lacks: dict[str, OrastreamError] = {}
        self._trial_key = self._js.names.trial_key(uuid.uuid4().hex[:12])
        self._refused: str | None = None
        """Why the last trial write was not stored; None if it was."""
        self._logged: set[str] = set()
        """The streams and consumers that were logged as missing."""
        self._logged_refusal: str | None = None
        self._skewed = False
        """Whether it was logged that this host's clock differs from the server's."""
        self._renewed_hooks: list[Callable[[str], None]] = []
        self._back_hooks: list[Callable[[str], None]] = []
        self._suspected = asyncio.Event()
        self._check_lock = asyncio.Lock()
        self._checked_at = float("-inf")

    def on_renewed(self, hook: Callable[[str], None]) -> None:
        """Call `hook` with the name of each stream that was lost and created again, by any process."""
        self._renewed_hooks.append(hook)

    def on_sequences_back(self, hook: Callable[[str], None]) -> None:
        """Call `hook` with the name of each stream whose last sequence is lower than one seen before.

        That happens when its files were restored from an older copy. Code that compares sequences must start again.
        """
        self._back_hooks.append(hook)

    async def add(self, config: dict[str, Any], *, change: bool = False) -> None:
        """Create one more stream if it is missing, and check it from now on. Raises NodeUnavailable, SettingsError."""
        if config not in self._streams:
            self._streams.append(config)
        await self._check_one(topology.ensure_stream, config, change)
        if (exc := self._lacks.get(config["name"])) is not None:
            raise exc

    async def ensure(self) -> None:
        """Create what is missing; with `change`, also update what exists. Then the server's clock is known.

        Raises SettingsError for an error that only another setting can fix, NodeUnavailable for any other.
        """
        await self._check(change=self._change, stores=False)
        for exc in self._lacks.values():
            if isinstance(exc, SettingsError):
                raise exc
        if self._lacks:
            first, *others = map(str, self._lacks.values())
            raise NodeUnavailable(f"{first} (and {len(others)} more)" if others else first)
        if not self._js.clock.known:  # TTS_SESSIONS was missing: the server's error has no time
            await management.stream_info(self._js, self._js.names.sessions_stream, patience_s=PATIENCE_S)
            if not self._js.clock.known:
                log.warning("NATS has not told its time; until it does, ages are judged by this host's clock")
        self._log_skew()

    async def run(self) -> None:
        """Check repeatedly until cancelled."""
        spacing = Backoff(FIRST_AGAIN_S, CHECK_S)
        unhook = [self._js.broker.missing.add(self._suspected.set), self._js.broker.on_reconnect(self._suspected.set)]
        try:
            while True:
                if not await self._wait_for_suspicion():
                    spacing.reset()
                await self._check()
                self._log_changes()
                await asyncio.sleep(spacing.next_s())
        finally:
            for off in unhook:
                off()

    async def lacking(self) -> str | None:
        """The error of a needed stream or consumer that is missing, or why NATS stores nothing; None: all is well.

        Checks first if the last check is old.

        Takes at most PATIENCE_S seconds; the answer is at most FRESH_S seconds old.
        """
        if asyncio.get_running_loop().time() - self._checked_at > FRESH_S:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._check()
            except TimeoutError:
                return "the streams do not answer"
            self._log_changes()
        return next((str(exc) for name, exc in self._lacks.items() if name in self._needs), None) or self._refused

    async def _wait_for_suspicion(self) -> bool:
        """Wait at most CHECK_S seconds for a suspicion that something is missing. Returns whether there is one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHECK_S):
                await self._suspected.wait()
        return self._suspected.is_set()

    async def _check(self, *, change: bool = False, stores: bool = True) -> None:
        """Check all and create what is missing; with `stores`, try to store a message.

        Concurrent callers share the result of one check.
        """
        asked_at = asyncio.get_running_loop().time()
        async with self._check_lock:
            if self._checked_at >= asked_at and not change:
                return
            checked_at = asyncio.get_running_loop().time()
            self._suspected.clear()  # before the check: a suspicion during it may concern something already checked
            # First the streams that need their reserve: those of the others, if created earlier, could take its room.
            needy = [config for config in self._streams if room_setting(config["name"]) is None]
            others = [config for config in self._streams if room_setting(config["name"]) is not None]
            for ensure, configs in (
                (topology.ensure_stream, needy),
                (topology.ensure_stream, others),
                (topology.ensure_consumer, self._consumers),
            ):
                async with asyncio.TaskGroup() as group:  # all streams first: a consumer needs its stream
                    for config in configs:
                        group.create_task(self._check_one(ensure, config, change))
            if not stores:
                return
            await self._try_to_store()
            self._checked_at = checked_at

    async def _try_to_store(self) -> None:
        """Store a message in the bucket of heartbeats, which deletes it after 3 s. No service reads it."""
        if self._js.names.heartbeats_stream in self._lacks:
            self._refused = None  # the missing stream is the reason
            return
        try:
            await self._js.store(self._trial_key, b"{}", patience_s=TRIAL_S)
        except (NodeUnavailable, PublishRefused) as exc:
            self._refused = f"NATS stores nothing: {exc}; free its disk, or raise its max_file_store"
        else:
            self._refused = None

    async def _check_one(self, ensure: Ensure, config: dict[str, Any], change: bool) -> None:
        name = config.get("durable_name") or config["name"]
        above = self._last_seq.get(name, 0)
        try:
            found = await ensure(self._js, config, change=change, above=above, patience_s=PATIENCE_S)
            if self._change and not found.by_us and self._is_new(name, found):
                # Another service created it, perhaps with other limits; synth's limits apply.
                found = await ensure(self._js, config, change=True, above=above, patience_s=PATIENCE_S)
        except OrastreamError as exc:
            self._lacks[name] = exc
        except Exception as exc:  # noqa: BLE001 - the next check must run whatever this one raised
            log.exception("a stream or consumer could not be looked at", name=name)
            self._lacks[name] = NodeUnavailable(f"{name}: {exc!r}")
        else:
            self._note(name, found)

    def _is_new(self, name: str, found: Found) -> bool:
        return self._created.get(name, found.created) != found.created

    def _note(self, name: str, found: Found) -> None:
        is_new = self._is_new(name, found)
        self._created[name] = found.created
        self._lacks.pop(name, None)
        if found.last_seq < self._last_seq.get(name, 0) and not found.forgets:
            log.error("its sequences went back: an older copy of it?", name=name, last_seq=found.last_seq)
            for hook in self._back_hooks:
                hook(name)
        self._last_seq[name] = found.last_seq
        if not is_new:
            return
        is_stream = any(config["name"] == name for config in self._streams)
        lost = "what it held is lost" if is_stream else "what is stored is delivered again"
        by = "this service" if found.by_us else "another service"
        log.warning("it was missing and is created again", name=name, by=by, lost=lost)
        if is_stream:
            for hook in self._renewed_hooks:
                hook(name)

    def _log_changes(self) -> None:
        """Log once that something is missing, and once that it is there again."""
        lacks = set(self._lacks)
        if self._refused is not None and self._logged_refusal is None:
            log.error("NATS stores nothing", error=self._refused)
        elif self._refused is None and self._logged_refusal is not None:
            log.info("NATS stores again")
        self._logged_refusal = self._refused
        if fresh := sorted(lacks - self._logged):
            log.warning("missing, or no answer", names=fresh, error=str(self._lacks[fresh[0]]))
        if back := sorted(self._logged - lacks):
            log.info("there again", names=back)
        self._logged = lacks
        self._log_skew()

    def _log_skew(self) -> None:
        """Log once that this host's clock differs from the server's, and once that it does not any more."""
        ahead_s = round(self._js.clock.skew_s(), 3)
        skewed = abs(ahead_s) > MAX_SKEW_S
        if skewed and not self._skewed:
            log.warning("the clock of this host differs from that of NATS", ahead_s=ahead_s)
        elif self._skewed and not skewed:
            log.info("the clock of this host agrees with that of NATS again", ahead_s=ahead_s)
        self._skewed = skewed
