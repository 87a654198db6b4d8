"""Runs services as real processes, one or more of each, on one nats-server."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import aiohttp

from orastream.client.async_client import Client
from orastream.service.settings import KNOWN
from tests.support.forks import Child, server_of
from tests.support.nats_server import NatsServer
from tests.support.processes import START_S, Logs, Process, free_port

REPOSITORY = Path(__file__).resolve().parents[2]

PORT_SETTING = {
    "synth": "TTS_HEALTH_PORT",
    "ws_bridge": "TTS_HEALTH_PORT",
    "http_bridge": "TTS_HEALTH_PORT",
    "gateway": "GATEWAY_PORT",
    "oraserver": "ORASERVER_PORT",
}
READY_PATH = {"oraserver": "/healthz"}
MODEL_START_S = 200.0
"""Timeout for the start with a torch engine: it imports torch and loads a model while other tests run."""


def environment(settings: Mapping[str, object], code: Path = REPOSITORY) -> dict[str, str]:
    """This process's environment without node settings, plus `settings` (booleans as true and false).

    Python imports the project from `code`, before an installed version.
    """
    clean = {name: value for name, value in os.environ.items() if name.upper() not in KNOWN}
    path = os.pathsep.join(filter(None, [str(code), str(code / "shared"), clean.get("PYTHONPATH")]))
    given = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in settings.items()}
    return clean | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "TTS_LOG_FORMAT": "json"} | given


class ServiceProcess(Process):
    """`python -m services.<service>` on a free port, which stays the same after restarts.

    It runs in `folder`, which has no `.env`.
    """

    by_fork: ClassVar[bool] = False
    """Whether `tests.support.forks` starts it, unless it needs other code: that takes less CPU. pytest sets it."""

    def __init__(
        self, service: str, folder: Path, logs: Logs, settings: Mapping[str, object], *, name: str | None = None
    ) -> None:
        name = name or service
        self.service = service
        setting = PORT_SETTING[service]
        self.port = int(str(settings.get(setting) or free_port()))
        self.url = f"http://127.0.0.1:{self.port}"
        self._start_s = MODEL_START_S if settings.get("ENGINE_PYTHON") else START_S
        log = logs[name] = folder / f"{name}.log"
        super().__init__(
            name,
            [sys.executable, "-m", f"services.{service}"],
            env=environment({**settings, setting: self.port}),
            cwd=folder,
            log=log,
        )
        self._settings = {**settings, setting: self.port}

    def run_from(self, code: Path) -> None:
        """Take the code of another checkout from the next start on."""
        self._env = environment(self._settings, code)

    def _started(self) -> Child:
        plain = environment({})
        usual = all(
            self._env.get(name) == plain.get(name) for name in {*self._env, *plain} if name.startswith("PYTHON")
        )
        if not (self.by_fork and usual and self._argv == [sys.executable, "-m", f"services.{self.service}"]):
            return super()._started()
        return server_of(self.service, REPOSITORY, plain).start(self._env, self._cwd, self.log)

    async def start(self) -> None:
        """Start it; returns when it is ready. Raises ProcessFailed."""
        self.launch()
        await self.until_ready(self.ready, self._start_s)

    async def ready(self) -> bool:
        """Whether its readiness check succeeds now."""
        try:
            status, _ = await self.get(READY_PATH.get(self.service, "/readyz"))
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
        return status == 200

    async def get(self, path: str, timeout_s: float = 5.0) -> tuple[int, bytes]:
        """The status and body of a GET on its port."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(timeout_s)) as http:
            async with http.get(self.url + path) as answer:
                return answer.status, await answer.read()

    async def metric(self, name: str, **labels: str) -> float:
        """The value of one sample of its `/metrics`; 0 if the sample does not exist yet."""
        _, body = await self.get("/metrics")
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        for line in body.decode().splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(label in sample for label in wanted):
                return float(value)
        return 0.0


class Stack:
    """Services on one nats-server, any number of each. The bridges use the stack's OraServer.

    await stack.start("oraserver", "gateway")
    await stack.start("synth", "ws_bridge", replicas=2, TTS_ENGINE_RTF=0.1)
    stack["ws_bridge"][0].kill()
    """

    def __init__(
        self,
        nats_server: NatsServer,
        folder: Path,
        logs: Logs,
        *,
        code: Path = REPOSITORY,
        credentials: Callable[[str], Mapping[str, object]] = lambda _role: {},
        **settings: object,
    ) -> None:
        """`settings` apply to every service; settings of `start` override them. All but OraServer run from `code`.

        `credentials` returns the settings of one service by which it reaches NATS, and those of the role `llm`.
        """
        self._code = code
        self._credentials = credentials
        self.nats_server = nats_server
        self.folder = folder
        self.oraserver_port = free_port()
        self.oraserver_url = f"http://127.0.0.1:{self.oraserver_port}"
        self.processes: dict[str, list[ServiceProcess]] = {}
        self._logs = logs
        self.settings: dict[str, object] = {
            "NATS_URL": nats_server.url,
            "ORASERVER_WEBSOCKET_URL": f"ws://127.0.0.1:{self.oraserver_port}/ws/tts",
            "ORASERVER_HTTP_URL": f"{self.oraserver_url}/api/tts",
            "ORASERVER_DATA_DIR": folder / "oraserver-data",
            "ORASERVER_PROTOCOL": "v1",  # what most tests count are its frames; those of v2 say "auto"
            **settings,
        }

    def __getitem__(self, service: str) -> list[ServiceProcess]:
        """The processes of a service, in the order of creation."""
        return self.processes[service]

    def only(self, service: str) -> ServiceProcess:
        """The only process of a service."""
        (process,) = self.processes[service]
        return process

    def add(self, service: str, **settings: object) -> ServiceProcess:
        """Add a process of a service without starting it."""
        siblings = self.processes.setdefault(service, [])
        given = {**self.settings, **(self._credentials(service) if service != "oraserver" else {}), **settings}
        if service == "oraserver":
            assert not siblings, "a data directory has one owner: start one oraserver"
            given.setdefault("ORASERVER_PORT", self.oraserver_port)
        process = ServiceProcess(service, self.folder, self._logs, given, name=f"{service}-{len(siblings) + 1}")
        if service != "oraserver":
            process.run_from(self._code)
        siblings.append(process)
        return process

    def client(self) -> Client:
        """A client as an LLM server has it; `async with` connects it."""
        given = {**self.settings, **self._credentials("llm")}
        seed = given.get("NATS_NKEY_SEED")
        return Client(str(given["NATS_URL"]), nkey_seed=None if seed is None else str(seed))

    async def start(self, *services: str, replicas: int = 1, **settings: object) -> list[ServiceProcess]:
        """Start `replicas` of each service in parallel; returns them when all are ready. Raises ProcessFailed."""
        started = [self.add(service, **settings) for service in services for _ in range(replicas)]
        async with asyncio.TaskGroup() as tasks:
            for process in started:
                tasks.create_task(process.start())
        return started

    async def stop(self) -> None:
        """Send SIGTERM to all running processes in parallel. One that does not end: SIGKILL and ProcessFailed."""
        running = [process for siblings in self.processes.values() for process in siblings if process.running]
        outcomes = await asyncio.gather(*(process.stop() for process in running), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def kill(self) -> None:
        """Send SIGKILL to all running processes, also to frozen ones."""
        for siblings in self.processes.values():
            for process in siblings:
                process.kill()

    # ---- the reference OraServer

    async def received(self, session_id: str | None = None) -> dict[str, Any]:
        """What OraServer has received (`GET /received`), of one session or of all."""
        return await self.oraserver("GET", "/received", params={} if session_id is None else {"session": session_id})

    async def misbehave(self, **faults: object) -> None:
        """Set OraServer's faults; without arguments, clear them."""
        await self.oraserver("POST", "/misbehave", json=faults)

    async def oraserver(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The JSON that OraServer answers to any other request."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as http:
            async with http.request(method, self.oraserver_url + path, **options) as answer:
                assert answer.status < 300, f"{method} {path}: {answer.status} {await answer.text()}"
                value: dict[str, Any] = await answer.json()
                return value
