"""Docker for tests: whether an engine answers, and compose projects that leave nothing behind."""

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
    """Skip when no Docker engine with compose answers; fail when REQUIRE_DOCKER=1 says that one must."""
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
    """The stack of compose.yaml with the demo profile, under a name of its own and on free ports of this machine.

    Up inside `with`; afterwards containers, networks, volumes and images are gone. Neither `.env` nor settings in the
    environment of the tests reach it.
    """

    def __init__(
        self, project: str, *, root: Path = ROOT, scale: dict[str, int] | None = None, **settings: str
    ) -> None:
        """`root` is where compose.yaml and the sources are; `scale` says how many of each service."""
        self.project = project
        self._command = ["docker", "compose", "--project-name", project, "--project-directory", str(root)]
        self._command += ["--file", str(root / "compose.yaml"), "--env-file", os.devnull, "--profile", "demo"]
        self._scale = scale or {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        # Port 0: the engine takes a free one.
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
        """What `docker compose …` printed. Raises AssertionError with its errors when it fails."""
        done = subprocess.run(
            [*self._command, *arguments], env=self._env, capture_output=True, text=True, timeout=timeout_s
        )
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout

    def down(self) -> None:
        """End the stack with all that belongs to it."""
        self.run("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "15", timeout_s=120)

    def logs(self) -> str:
        """What the services have logged."""
        return self.run("logs", "--no-color", "--timestamps")

    def address(self, service: str, port: int) -> str:
        """Host and port on this machine where the service's port is published."""
        return self.run("port", service, str(port)).strip()

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """`docker inspect` of every container of the stack, or of those services."""
        ids = self.run("ps", "--all", "--quiet", *services).split()
        inspected: list[dict[str, Any]] = json.loads(docker("inspect", *ids))
        return inspected

    @contextlib.contextmanager
    def frozen(self, service: str, process: str) -> Iterator[None]:
        """While the context is open, that process of the service's container does nothing; its sockets stay open.

        Not `docker compose pause`: that freezes whatever healthcheck is just starting too, for which the engine then
        waits with the container's lock in its hand, so that nobody can thaw it again.
        """
        self.run("exec", "-T", service, "sh", "-c", f"kill -STOP $(pidof {process})")
        try:
            yield
        finally:
            self.run("exec", "-T", service, "sh", "-c", f"kill -CONT $(pidof {process})")

    def image(self, service: str) -> str:
        """The image that was built for a service."""
        return f"{self.project}-{service}"


def docker(*arguments: str, timeout_s: float = 60) -> str:
    """What `docker …` printed, errors included. Raises AssertionError with it when it fails."""
    done = subprocess.run(
        ["docker", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}"
    return done.stdout


def image_bytes(image: str) -> int:
    """Its size, all layers."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


@contextlib.contextmanager
def cut_off(address: str) -> Iterator[None]:
    """While the context is open, no packet leaves or reaches that container; its connections are not told.

    By iptables, so for root on Linux, with the engine on this machine. Rules that stand already are not touched.
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
    """A clone of this repository as it is now: what git has or would take, and nothing that only lies about here."""
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
