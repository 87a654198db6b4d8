"""Starts services by forks of a process that has them imported, one for each service and test worker.

Linux alone. A forked service is a process of its own in all respects that tests look at, but for its command line and
its memory, part of which it shares.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from orastream.cli.node import pdeathsig


class Child(Protocol):
    """A child process, as `subprocess.Popen` is one."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def kill(self) -> None: ...

    def send_signal(self, sig: int, /) -> None: ...


class ForkedChild:
    """A process that a fork server has started. Not thread-safe."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self._server = server
        self._file = os.pidfd_open(pid)  # readable once it has ended; a zombie keeps its pid until `_server` reads it
        self._code: int | None = None

    def __del__(self) -> None:
        if self._code is None:
            os.close(self._file)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._code_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended. Raises subprocess.TimeoutExpired."""
        code = self._code_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"pid {self.pid}", timeout or 0)
        return code

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, sig: int, /) -> None:
        """Send a signal; nothing if it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._file, sig)

    def _code_within(self, timeout_s: float | None) -> int | None:
        if self._code is None:
            poll = select.poll()
            poll.register(self._file, select.POLLIN)
            if poll.poll(None if timeout_s is None else timeout_s * 1000):
                # A server that has ended has had its processes killed.
                gone = self._server.ended
                self._code = -signal.SIGKILL if gone else self._server.call({"ended": self.pid})["code"]
                os.close(self._file)
        return self._code


class ForkServer:
    """A running `tests.support.fork_server` of one service. It is killed when this process ends. Not thread-safe."""

    def __init__(self, service: str, repository: Path, env: Mapping[str, str]) -> None:
        self._service = service
        self._numbers = itertools.count()
        argv = [sys.executable, "-u", "-m", "tests.support.fork_server", service]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", pdeathsig.__file__, str(os.getpid()), *argv],
            env=env,
            cwd=repository,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    @property
    def ended(self) -> bool:
        """Whether it has ended. No call is answered any more."""
        return self._process.poll() is not None

    def start(self, env: Mapping[str, str], cwd: Path, log: Path) -> ForkedChild:
        """A new process of the service. Raises OSError if the log cannot be written."""
        log.touch()
        return ForkedChild(self, self.call({"env": dict(env), "cwd": str(cwd), "log": str(log)})["pid"])

    def close(self) -> None:
        """Kill the server, and with it its processes."""
        self._process.kill()
        self._process.communicate()

    def call(self, command: dict[str, Any]) -> dict[str, Any]:
        """The answer to a command. Raises AssertionError if the server has ended.

        The time limit of a test may end an earlier call before its answer: an answer with another number is left out.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        number = next(self._numbers)
        stdin.write(json.dumps({"n": number, **command}).encode() + b"\n")
        stdin.flush()
        while line := stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            if answer["n"] == number:
                return answer
        raise AssertionError(f"the fork server of {self._service} has ended: {self._process.wait(10)}")


_servers: dict[str, ForkServer] = {}


def server_of(service: str, repository: Path, env: Mapping[str, str]) -> ForkServer:
    """The fork server of a service, started if none runs."""
    if service not in _servers or _servers[service].ended:
        _servers[service] = ForkServer(service, repository, env)
    return _servers[service]
