"""A node in containers, of the images that are deployed: `OrastreamContainer` (extra `containers`: testcontainers)."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from orastream.client.async_client import Client
from orastream.client.blocking import BlockingClient
from orastream.contract.errors import NodeUnavailable, SettingsError
from orastream.testing.environment import settings_text
from orastream.testing.oraserver_api import OraServerApi, Utterance

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.network import Network

SERVICES = ("oraserver", "synth", "ws_bridge", "http_bridge", "gateway")
PUBLISHED = {"nats": 4222, "gateway": 8000, "oraserver": 8080}
IMAGE = "orastream-{service}:latest"
"""The name that `docker compose build` gives them in the repository."""
NATS_IMAGE = "nats:2.15-alpine"
NATS_COMMAND = "nats-server -js -sd /data"
START_S = 120.0
POLL_S = 0.2
SMALL = {"TTS_AUDIO_MAX_BYTES": 256 << 20} | dict.fromkeys(
    ("TTS_SESSIONS_MAX_BYTES", "TTS_REPORTS_MAX_BYTES", "TTS_TEXTS_MAX_BYTES", "TTS_HEARD_MAX_BYTES"), 64 << 20
)
"""nats-server reserves the sizes of streams on the disk of the engine."""
LOG_LINES = 20


class OrastreamContainer:
    """A whole node: NATS, synth, both bridges, the gateway and the reference OraServer, in a network of their own.

    `with OrastreamContainer() as node:` starts six containers, because each service has its image, and removes them
    at the end. Not thread-safe. testcontainers' own settings hold (`TESTCONTAINERS_RYUK_DISABLED`, DOCKER_HOST, …).
    """

    def __init__(
        self,
        image: str = IMAGE,
        settings: Mapping[str, object] | None = None,
        *,
        nats_image: str = NATS_IMAGE,
        publish_on: str = "127.0.0.1",
        start_s: float = START_S,
    ) -> None:
        """`image` is the name of the images, with `{service}` for synth, ws_bridge, http_bridge, gateway and oraserver.

        `settings` are the node's (docs/reference/settings.md), for all services. The ports of NATS, the gateway and
        OraServer are published on the engine's address `publish_on`; "" is all of them. Raises SettingsError.
        """
        if "{service}" not in image:
            raise SettingsError(f"image: {image!r} has no {{service}}; each service has its own, as in {IMAGE}")
        self._image = image
        self._settings = settings_text(SMALL) | settings_text(settings or {})
        self._nats_image = nats_image
        self._publish_on = publish_on
        self._start_s = start_s
        self._containers: dict[str, DockerContainer] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start it; returns when all services accept work.

        Raises SettingsError without testcontainers, docker's errors (a missing image), and NodeUnavailable with the
        end of a log.
        """
        try:
            from testcontainers.core.network import Network
        except ModuleNotFoundError as exc:
            raise SettingsError(f"{exc.name} is not installed; pip install 'orastream[containers]'") from exc
        deadline = time.monotonic() + self._start_s
        with contextlib.ExitStack() as stack:
            network = stack.enter_context(Network())
            self._start(stack, network, "nats", self._nats_image, NATS_COMMAND)
            for service in SERVICES:
                self._start(stack, network, service, self._image.format(service=service), None)
            self._until("nats", deadline, self._has_jetstream)
            for service in SERVICES:
                self._until(service, deadline, lambda service=service: self._health(service) == "healthy")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._containers.clear()
        self._stack.close()

    # ---- where it is

    @property
    def nats_url(self) -> str:
        """The address for `Client` and NATS_URL."""
        return "nats://{}:{}".format(*self._address("nats"))

    @property
    def http_url(self) -> str:
        """The address of the gateway."""
        return "http://{}:{}".format(*self._address("gateway"))

    @property
    def oraserver_url(self) -> str:
        """The address of the reference OraServer."""
        return "http://{}:{}".format(*self._address("oraserver"))

    def client(self, **options: Any) -> Client:
        """A `Client` of this node; `async with` opens it. `options` are the other arguments of `Client`."""
        return Client(self.nats_url, **{"prefix": self._settings.get("TTS_PREFIX"), **options})

    def blocking_client(self, **options: Any) -> BlockingClient:
        """A `BlockingClient` of this node. `options` are its other arguments."""
        return BlockingClient(self.nats_url, **{"prefix": self._settings.get("TTS_PREFIX", "tts"), **options})

    # ---- what OraServer has, and its faults: as `LocalNode` has them

    def received(self, session_id: str | None = None) -> list[Utterance]:
        """See `LocalNode.received`."""
        return list(self._oraserver.listing(session_id)["utterances"])

    def violations(self, session_id: str | None = None) -> list[str]:
        """See `LocalNode.violations`."""
        return self._oraserver.violations(session_id)

    def until_received(self, request_id: str, *, session_id: str | None = None, timeout_s: float = 30.0) -> Utterance:
        """See `LocalNode.until_received`."""
        return self._oraserver.until_received(request_id, session_id=session_id, timeout_s=timeout_s)

    def misbehave(self, **faults: object) -> None:
        """See `LocalNode.misbehave`."""
        self._oraserver.misbehave(faults)

    # ---- its containers

    def container(self, service: str) -> DockerContainer:
        """The container of `nats` or of a service, with all that testcontainers can do. Raises SettingsError."""
        if service not in self._containers:
            names = ", ".join(self._containers) or "none: use `with OrastreamContainer() as node`"
            raise SettingsError(f"service: {service!r} is no container of this node; it has {names}")
        return self._containers[service]

    def kill(self, service: str) -> None:
        """Kill the container of a service, or `nats`, with SIGKILL. It stays dead until `restart`."""
        self.container(service).get_wrapped_container().kill()

    def restart(self, service: str) -> None:
        """Start a container (again). Returns when its service accepts work. Raises NodeUnavailable.

        The published port of `nats`, the gateway and OraServer may be another one then.
        """
        self.container(service).get_wrapped_container().restart()
        check = self._has_jetstream if service == "nats" else lambda: self._health(service) == "healthy"
        self._until(service, time.monotonic() + self._start_s, check)

    def logs(self, service: str) -> str:
        """What a container has written."""
        out, err = self.container(service).get_logs()
        return (out + err).decode(errors="replace")

    def _start(
        self, stack: contextlib.ExitStack, network: Network, service: str, image: str, command: str | None
    ) -> None:
        from testcontainers.core.container import DockerContainer

        environment = {
            "NATS_URL": "nats://nats:4222",
            "ORASERVER_WEBSOCKET_URL": "ws://oraserver:8080/ws/tts",
            "ORASERVER_HTTP_URL": "http://oraserver:8080/api/tts",
            **self._settings,
        }
        env = {} if service == "nats" else environment
        container = DockerContainer(image, command=command, env=env, network=network, network_aliases=[service])
        if service in PUBLISHED:
            where: Any = (self._publish_on, None) if self._publish_on else None
            container.ports = {f"{PUBLISHED[service]}/tcp": where}  # with_exposed_ports has no address
        self._containers[service] = stack.enter_context(container)

    def _until(self, service: str, deadline: float, check: Any) -> None:
        while not check():
            container = self.container(service).get_wrapped_container()
            container.reload()
            ended = container.status in ("exited", "dead")
            if ended or time.monotonic() > deadline:
                what = f"has ended ({container.status})" if ended else f"is not ready after {self._start_s:g} s"
                lines = "".join(f"\n  {line}" for line in self.logs(service).splitlines()[-LOG_LINES:])
                raise NodeUnavailable(f"{service} {what}; its log ends with:{lines or ' nothing'}")
            time.sleep(POLL_S)

    def _health(self, service: str) -> str:
        container = self.container(service).get_wrapped_container()
        container.reload()
        return str(container.attrs["State"].get("Health", {}).get("Status", ""))

    def _has_jetstream(self) -> bool:
        try:
            with socket.create_connection(self._address("nats"), 2) as connection:
                verb, _, info = connection.makefile("rb").readline().partition(b" ")
            return verb == b"INFO" and bool(json.loads(info).get("jetstream"))
        except (OSError, ValueError, RecursionError):
            return False

    def _address(self, service: str) -> tuple[str, int]:
        container = self.container(service)
        return container.get_container_host_ip(), int(container.get_exposed_port(PUBLISHED[service]))

    @property
    def _oraserver(self) -> OraServerApi:
        return OraServerApi(self.oraserver_url, self._settings.get("ORASERVER_TOKEN"))
