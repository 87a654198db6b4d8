"""A whole node for tests, as processes of this machine on free ports: the fixture `orastream_node` gives one."""

from __future__ import annotations

import importlib
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from orastream.client import publishing
from orastream.client.async_client import Client
from orastream.client.blocking import BlockingClient
from orastream.contract.errors import NodeUnavailable, SettingsError
from orastream.contract.names import Names
from orastream.service.access_settings import NatsAccessSettings, OraServerTlsSettings
from orastream.service.settings import KNOWN
from orastream.service.unknown_settings import correction, is_mistake
from orastream.testing import clean_slate
from orastream.testing.async_node import AsyncNode
from orastream.testing.environment import settings_text
from orastream.testing.oraserver_api import OraServerApi, Utterance

if TYPE_CHECKING:
    from orastream.cli.node.stack import Stack
    from orastream.testing.node_thread import NodeThread

START_S = 120.0
EMPTY_S = 10.0
AUDIO_MAX_BYTES = 256 << 20
INSTALL = (
    "orastream_node starts the services of a node as processes; install them: pip install 'orastream[testing]' "
    "'orastream-services[local]'. orastream.testing.FakeNode needs no services"
)
FIXED = frozenset(
    """NATS_URL TTS_STREAM_REPLICAS ORASERVER_WEBSOCKET_URL ORASERVER_HTTP_URL ORASERVER_PORT ORASERVER_DATA_DIR
    GATEWAY_PORT TTS_HEALTH_PORT""".split()
) | {name.upper() for settings in (NatsAccessSettings, OraServerTlsSettings) for name in settings.model_fields}
"""What `orastream.cli.node.stack` sets for each node: its addresses, and that it has neither accounts nor TLS."""


class LocalNode:
    """A running node with a reference OraServer. `with LocalNode(folder) as node:` starts and ends it.

    It has its own ports, data and environment: neither the node's settings of this process nor a `.env` file count.
    Thread-safe. The calls block; in a coroutine use those of `aio`, which have the same names.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, object] | None = None,
        *,
        replicas: Mapping[str, int] | None = None,
        ports: range | None = None,
        start_s: float = START_S,
    ) -> None:
        """`folder` gets its data and logs. `settings` are those of the node (docs/reference/settings.md), by name.

        `replicas` is the number of processes of a service (`{"synth": 2}`). `ports` are those that it may use.
        Nothing is started yet.
        """
        self.folder = folder.resolve()
        self.settings = settings_text(settings or {})
        if fixed := next(filter(FIXED.__contains__, sorted(self.settings)), None):
            raise SettingsError(f"orastream_settings: {fixed} has no effect; a node for tests sets it itself")
        if wrong := next(filter(is_mistake, sorted(self.settings)), None):
            raise SettingsError(f"orastream_settings: the node has no {wrong}; {correction(wrong)}")
        self.names = Names(self.settings.get("TTS_PREFIX", "tts"))
        self.aio = AsyncNode(self)
        """The same calls for coroutines."""
        self._replicas = dict(replicas or {})
        self._ports = ports
        self._start_s = start_s
        self._stack: Stack | None = None
        self._thread: NodeThread | None = None

    # ---- start and end

    def start(self) -> None:
        """Start all processes; returns when they accept work, after 2 to 4 s. Raises SettingsError that says what to
        install, and NotStarted with the end of a log.
        """
        if self._thread is not None:
            return
        if self._stack is None:
            self._stack = self._planned()
        from orastream.testing.node_thread import NodeThread

        self._thread = NodeThread(self._stack, self._start_s)

    def close(self) -> None:
        """Kill all processes. Its data and logs stay in `folder`. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _planned(self) -> Stack:
        try:
            importlib.import_module("orastream.cli.node.supervisor")
            from orastream.cli.node import stack
            from orastream.cli.node.ports import FREE_PORTS, Ports
        except ModuleNotFoundError as exc:
            raise SettingsError(f"the module {exc.name} is not installed. {INSTALL}") from exc
        try:
            stack.check_installed()
            stack.nats_server()
        except SettingsError as exc:
            raise SettingsError(f"{exc}. {INSTALL}") from exc
        self.folder.mkdir(parents=True, exist_ok=True)
        clean = {name: value for name, value in os.environ.items() if name.upper() not in KNOWN}
        own = {"TTS_AUDIO_MAX_BYTES": str(AUDIO_MAX_BYTES), "WEBSOCKET_IDLE_SECONDS": str(clean_slate.IDLE_S)}
        options = stack.Options(
            data_dir=self.folder,
            nats_port=0,
            gateway_port=0,
            oraserver_port=0,
            replicas=self._replicas,
            env=clean | own | self.settings,
            cwd=self.folder,
        )
        ports = Ports(among=self._ports or FREE_PORTS)
        return stack.plan(options, ports, disk_bytes=stack.room(self.folder))

    # ---- where it is

    @property
    def nats_url(self) -> str:
        """The address for `Client` and NATS_URL. The same from the first start on."""
        return self._planned_stack.nats_url

    @property
    def http_url(self) -> str:
        """The address of the gateway, as in `http://127.0.0.1:20123`. `/console` shows the node in a browser."""
        return self._planned_stack.gateway_url

    @property
    def oraserver_url(self) -> str:
        """The address of the reference OraServer."""
        url = self._planned_stack.oraserver_url
        assert url is not None
        return url

    @property
    def logs(self) -> dict[str, Path]:
        """The log file of each process, by its name."""
        return {part.name: self._planned_stack.logs / f"{part.name}.log" for part in self._planned_stack.parts}

    def client(self, **options: Any) -> Client:
        """A `Client` of this node; `async with` opens it. `options` are the other arguments of `Client`."""
        return Client(self.nats_url, **{"prefix": self.names.prefix, **options})

    def blocking_client(self, **options: Any) -> BlockingClient:
        """A `BlockingClient` of this node. `options` are its other arguments."""
        return BlockingClient(self.nats_url, **{"prefix": self.names.prefix, **options})

    def new_id(self, what: str = "session") -> str:
        """A new id, for a session or a request: `session-3f1c…`."""
        return f"{what}-{uuid.uuid4().hex[:12]}"

    # ---- what OraServer has

    def received(self, session_id: str | None = None) -> list[Utterance]:
        """What OraServer has received, an entry per utterance in the order of their first chunks.

        Each is as in `GET /received` (docs/guide/reference-oraserver.md). Raises NodeUnavailable.
        """
        return list(self._oraserver.listing(session_id)["utterances"])

    def violations(self, session_id: str | None = None) -> list[str]:
        """Which rules of the OraServer protocol were broken, as `rule: detail`; [] if none. Raises NodeUnavailable."""
        return self._oraserver.violations(session_id)

    def until_received(self, request_id: str, *, session_id: str | None = None, timeout_s: float = 30.0) -> Utterance:
        """Wait until OraServer has received an utterance completely, and return it.

        Raises NotReceived (an AssertionError) after `timeout_s` seconds, and NodeUnavailable.
        """
        return self._oraserver.until_received(request_id, session_id=session_id, timeout_s=timeout_s)

    def misbehave(self, **faults: object) -> None:
        """Let OraServer make these faults from now on, in place of all earlier ones; without arguments, none.

        `node.misbehave(drop_after_chunks=3, times=2)`; all faults: docs/guide/reference-oraserver.md. Raises
        InvalidRequest that names a wrong fault, and NodeUnavailable.
        """
        self._oraserver.misbehave(faults)

    # ---- its processes

    def pids(self, service: str) -> list[int]:
        """The ids of the running processes of a service. Raises SettingsError for an unknown service."""
        return [keeper.pid for keeper in self._running.keepers(service) if keeper.pid is not None]

    def kill(self, service: str, *, restart: bool = True) -> None:
        """Kill a service with SIGKILL (`synth`), or one process of it (`synth-2`). Returns when it is dead.

        With `restart` it starts again by itself within a second, as under a supervisor; `wait_ready` waits for that.
        Without, it stays dead until `restart` or the next test. Services: nats-server, oraserver, synth, ws_bridge,
        http_bridge, gateway. Raises SettingsError for an unknown one.
        """
        self._running.kill(service, restart=restart)

    def restart(self, service: str | None = None) -> None:
        """Restart a service, or all, with SIGTERM, or start what `kill` has ended. Returns when it accepts work.

        Raises SettingsError for an unknown service, NodeUnavailable if it does not start.
        """
        self._running.start_again(service, self._start_s)

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until all processes accept work, but those that `kill(restart=False)` has ended.

        Raises NodeUnavailable, with the end of a log, after `timeout_s` seconds.
        """
        self._running.ready(timeout_s)

    def reset(self) -> None:
        """Bring it back to the state after its start, in 0.1 to 1 s if no speech is under way and nothing was killed.

        Starts what was killed, clears faults, cancels what is not final, and deletes requests, reports, audio and what
        OraServer has received. A node that does not become empty within 10 s is started anew with the same ports.
        Raises NodeUnavailable.
        """
        thread = self._running
        thread.release()
        thread.ready(self._start_s)
        self._oraserver.misbehave({})
        try:
            clean = thread.call(clean_slate.empty(self.nats_url, self.names, EMPTY_S), 2 * EMPTY_S)
        except NodeUnavailable:
            clean = False
        if clean:
            self._oraserver.forget()
            publishing.renew_key()
        else:
            self._start_anew()

    def _start_anew(self) -> None:
        self.close()
        for data in ("nats", "oraserver"):
            shutil.rmtree(self.folder / data, ignore_errors=True)
        self.start()

    @property
    def _planned_stack(self) -> Stack:
        if self._stack is None:
            raise NodeUnavailable("the node was not started: use `with LocalNode(folder) as node`, or start()")
        return self._stack

    @property
    def _running(self) -> NodeThread:
        if self._thread is None:
            raise NodeUnavailable("the node does not run: use `with LocalNode(folder) as node`, or start()")
        return self._thread

    @property
    def _oraserver(self) -> OraServerApi:
        return OraServerApi(self.oraserver_url, self.settings.get("ORASERVER_TOKEN"))
