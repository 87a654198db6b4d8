"""Keeps the node's streams and consumers in existence while a service runs, and says which of them it lacks.

It looks at a start, every LOOKED_S, after a reconnect, and whenever an answer suggests that something is gone
(`Bus.missing`). What is missing is created again; what it held is lost, and the log says so once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from orastream.base import logger
from orastream.base.backoff import Backoff
from orastream.contract.errors import NodeUnavailable, OrastreamError, SettingsError
from orastream.contract.stream_names import AUDIO, HEARTBEATS, OWNERS, REPORTS, SESSIONS, SYNTH, TEXTS
from orastream.jetstream import topology
from orastream.jetstream.api import JetStream
from orastream.jetstream.topology import Found, StreamLimits

LOOKED_S = 5.0
FIRST_AGAIN_S = 0.25
"""After a look that was asked for the next one waits so long, then twice as long, up to LOOKED_S: no hammering."""
FRESH_S = 1.0
"""A look younger than this answers for readiness."""
PATIENCE_S = 2.0
"""What a call of a look waits for its answer."""

Ensure = Callable[..., Awaitable[Found]]
"""`ensure_stream` or `ensure_consumer`."""

_DELIVERY = (SESSIONS, AUDIO, REPORTS, OWNERS, HEARTBEATS)
NEEDED: dict[str, tuple[str, ...]] = {
    SYNTH: (SESSIONS, AUDIO, REPORTS, TEXTS),
    "ws_bridge": _DELIVERY,
    "http_bridge": _DELIVERY,
    "gateway": (SESSIONS, REPORTS),
}
"""The streams without which a service is not ready."""

log = logger.named(__name__)


class StreamKeeper:
    """`await ensure()` at the start, then `run()` as a task. For one event loop.

    Only with `change` (synth) is what exists brought to `limits`, and only by `ensure`.
    """

    def __init__(self, js: JetStream, limits: StreamLimits, *, change: bool = False, needs: Iterable[str] = ()) -> None:
        """`needs` are the streams and consumers without which the service is not ready."""
        self._js = js
        self._change = change
        self._needs = frozenset(needs)
        self._streams = topology.stream_configs(limits)
        self._consumers = topology.consumer_configs()
        self._created: dict[str, str] = {}
        self._last_seq: dict[str, int] = {}
        """The highest sequence seen of each stream."""
        self._lacks: dict[str, OrastreamError] = {}
        self._said: set[str] = set()
        """The streams and consumers that the log has named as lacking."""
        self._renewed_hooks: list[Callable[[str], None]] = []
        self._back_hooks: list[Callable[[str], None]] = []
        self._suspected = asyncio.Event()
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")

    def on_renewed(self, hook: Callable[[str], None]) -> None:
        """Call `hook` with the name of a stream that was lost and created again, by whichever process."""
        self._renewed_hooks.append(hook)

    def on_sequences_back(self, hook: Callable[[str], None]) -> None:
        """Call `hook` with the name of a stream whose sequences are lower than those that were seen of it before.

        That happens when an older copy of its files was put in place. Whoever compares sequences has to begin anew.
        """
        self._back_hooks.append(hook)

    async def add(self, config: dict[str, Any], *, change: bool = False) -> None:
        """Ensure one more stream, and keep it from now on. Raises NodeUnavailable, SettingsError."""
        if config not in self._streams:
            self._streams.append(config)
        await self._one(topology.ensure_stream, config, change)
        if (exc := self._lacks.get(config["name"])) is not None:
            raise exc

    async def ensure(self) -> None:
        """Create what is missing, and bring what exists to the settings if that is this service's right.

        Raises SettingsError for what only another setting can cure, NodeUnavailable for anything else.
        """
        await self._look(change=self._change)
        for exc in self._lacks.values():
            if isinstance(exc, SettingsError):
                raise exc
        if self._lacks:
            first, *others = map(str, self._lacks.values())
            raise NodeUnavailable(f"{first} (and {len(others)} more)" if others else first)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        spacing = Backoff(FIRST_AGAIN_S, LOOKED_S)
        unhook = [self._js.broker.missing.add(self._suspected.set), self._js.broker.on_reconnect(self._suspected.set)]
        try:
            while True:
                if not await self._suspicion():
                    spacing.reset()
                await self._look()
                self._say()
                await asyncio.sleep(spacing.next_s())
        finally:
            for off in unhook:
                off()

    async def lacking(self) -> str | None:
        """What the service needs and lacks, or None; as of FRESH_S ago at most, else it looks. Takes 2 s at most."""
        if asyncio.get_running_loop().time() - self._looked_at > FRESH_S:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._look()
            except TimeoutError:
                return "the streams do not answer"
            self._say()
        return next((str(exc) for name, exc in self._lacks.items() if name in self._needs), None)

    async def _suspicion(self) -> bool:
        """Wait until something may be missing, at most LOOKED_S; whether that is why it returns."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOKED_S):
                await self._suspected.wait()
        return self._suspected.is_set()

    async def _look(self, *, change: bool = False) -> None:
        """Ask for each, create what is missing. One at a time: several who ask share what the first one finds."""
        asked_at = asyncio.get_running_loop().time()
        async with self._looking:
            if self._looked_at >= asked_at and not change:
                return
            looked_at = asyncio.get_running_loop().time()
            self._suspected.clear()  # a suspicion during the look may be about what was looked at already
            for ensure, configs in (
                (topology.ensure_stream, self._streams),
                (topology.ensure_consumer, self._consumers),
            ):
                async with asyncio.TaskGroup() as group:  # consumers after their stream
                    for config in configs:
                        group.create_task(self._one(ensure, config, change))
            self._looked_at = looked_at

    async def _one(self, ensure: Ensure, config: dict[str, Any], change: bool) -> None:
        name = config.get("durable_name") or config["name"]
        above = self._last_seq.get(name, 0)
        try:
            found = await ensure(self._js, config, change=change, above=above, patience_s=PATIENCE_S)
            if self._change and not found.by_us and self._is_new(name, found):
                # Created by a service that may have other limits; these are the ones that count.
                found = await ensure(self._js, config, change=True, above=above, patience_s=PATIENCE_S)
        except OrastreamError as exc:
            self._lacks[name] = exc
        except Exception as exc:  # noqa: BLE001 - the keeper's border: it must look again whatever a look has met
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
        if found.last_seq < self._last_seq.get(name, 0):
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

    def _say(self) -> None:
        """Log once what is lacking, and once that it is there again."""
        lacks = set(self._lacks)
        if fresh := sorted(lacks - self._said):
            log.warning("missing, or no answer", names=fresh, error=str(self._lacks[fresh[0]]))
        if back := sorted(self._said - lacks):
            log.info("there again", names=back)
        self._said = lacks
