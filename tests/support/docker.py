"""Docker for tests: a check that the engine answers, and compose projects that are removed completely afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

ROOT = Path(__file__).resolve().parents[2]
NATS_IMAGE = "nats:2.15-alpine"


@pytest.fixture(scope="session")
def require_docker() -> None:
    """Skip the test if no Docker engine with compose answers; fail it if REQUIRE_DOCKER=1."""
    lacking = _lacking()
    if lacking is None:
        return
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"REQUIRE_DOCKER=1, and {lacking}", pytrace=False)
    pytest.skip(lacking)


def _lacking() -> str | None:
    if shutil.which("docker") is None:
        return "there is no docker command"
    for command, what in ((["docker", "version"], "no Docker engine answers"), (["docker", "compose", "version"], "")):
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=30)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return what or "docker has no compose"
    return None


class Compose:
    """The stack of compose.yaml with the demo profile, with its own project name and on free ports of this machine.

    It runs inside `with`; afterwards its containers, networks, volumes and images are removed. It does not see `.env`
    or the settings in the tests' environment.
    """

    def __init__(
        self, project: str, *, root: Path = ROOT, scale: dict[str, int] | None = None, **settings: str
    ) -> None:
        """`root` is the folder of compose.yaml and the sources; `scale` is the number of containers by service."""
        self.project = project
        self._command = ["docker", "compose", "--project-name", project, "--project-directory", str(root)]
        self._command += ["--file", str(root / "compose.yaml"), "--env-file", os.devnull, "--profile", "demo"]
        self._scale = scale or {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        # Port 0: the engine chooses a free port.
        self._env = kept | {"NATS_PORT": "0", "GATEWAY_PORT": "0", "ORASERVER_PORT": "0"} | settings
        self.up_s = 0.0

    def __enter__(self) -> Self:
        scale = [word for service, n in self._scale.items() for word in ("--scale", f"{service}={n}")]
        began = time.monotonic()
        try:
            self.run("build", timeout_s=900)
            self.run("up", "--detach", "--wait", "--wait-timeout", "180", *scale, timeout_s=240)
        except BaseException:
            print(self.logs())
            self.down()
            raise
        self.up_s = time.monotonic() - began
        return self

    def __exit__(self, kind: type[BaseException] | None, _exc: BaseException | None, _t: TracebackType | None) -> None:
        try:
            if kind is not None:
                print(self.logs())
        finally:
            self.down()

    def run(self, *arguments: str, timeout_s: float = 60) -> str:
        """The stdout of `docker compose …`. Raises AssertionError with its stderr if it fails."""
        done = subprocess.run(
            [*self._command, *arguments], env=self._env, capture_output=True, text=True, timeout=timeout_s
        )
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout

    def down(self) -> None:
        """Remove the stack: containers, networks, volumes and images."""
        self.run("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "15", timeout_s=120)

    def logs(self) -> str:
        """The logs of all services."""
        return self.run("logs", "--no-color", "--timestamps")

    def address(self, service: str, port: int) -> str:
        """The host and port on this machine where a port of the service is published."""
        return self.run("port", service, str(port)).strip()

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """`docker inspect` of each container of the stack, or only of those services."""
        ids = self.run("ps", "--all", "--quiet", *services).split()
        inspected: list[dict[str, Any]] = json.loads(docker("inspect", *ids))
        return inspected

    @contextlib.contextmanager
    def frozen(self, service: str, process: str) -> Iterator[None]:
        """Stop that process of the service's container with SIGSTOP inside the context; its sockets stay open.

        `docker compose pause` would freeze a starting healthcheck, too. The engine waits for it and holds the lock of
        the container, so the container cannot be unpaused.
        """
        self.run("exec", "-T", service, "sh", "-c", f"kill -STOP $(pidof {process})")
        try:
            yield
        finally:
            self.run("exec", "-T", service, "sh", "-c", f"kill -CONT $(pidof {process})")

    def image(self, service: str) -> str:
        """The name of the image that was built for a service."""
        return f"{self.project}-{service}"


def docker(*arguments: str, timeout_s: float = 60) -> str:
    """The stdout and stderr of `docker …`. Raises AssertionError with them if it fails."""
    done = subprocess.run(
        ["docker", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}"
    return done.stdout


def image_bytes(image: str) -> int:
    """The size of the image in bytes, with all layers."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


@contextlib.contextmanager
def cut_off(address: str) -> Iterator[None]:
    """Drop all packets to and from that container inside the context; its connections are not closed.

    Uses iptables: needs root on Linux and the engine on this machine. Existing rules are not changed.
    """
    rules = [["DOCKER-USER", flag, address, "-j", "DROP"] for flag in ("-s", "-d")]
    laid = []
    try:
        for chain, *rule in rules:
            subprocess.run(["iptables", "-I", chain, *rule], check=True, capture_output=True, timeout=10)
            laid.append([chain, *rule])
        yield
    finally:
        for rule in laid:
            subprocess.run(["iptables", "-D", *rule], check=True, capture_output=True, timeout=10)


def clean_copy(folder: Path) -> Path:
    """A copy of this working tree: tracked files and untracked files that git does not ignore."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


_SETTINGS = ("TTS_", "WEBSOCKET_", "ORASERVER_", "NATS_", "GATEWAY_", "DEFAULT_", "SYNTH_", "CHUNK_RAMP", "COMPOSE_")
