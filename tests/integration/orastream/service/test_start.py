"""The start of a service: its arguments, and what it logs when it cannot start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.services import Stack, environment

pytestmark = pytest.mark.integration

SERVICES = ("synth", "ws_bridge", "http_bridge", "gateway")


def run(folder: Path, name: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"services.{name}", *arguments]
    env = environment({"TTS_LOG_FORMAT": "json", **settings})
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", SERVICES)
def test_service_takes_no_arguments(tmp_path: Path, name: str) -> None:
    """`--help` says what it does and where its settings are described."""
    done = run(tmp_path, name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"python -m services.{name}: ") and done.stdout.count("\n") <= 6
    assert "It takes no arguments." in done.stdout and "docs/reference/settings.md" in done.stdout
    done = run(tmp_path, name, "--port", "1")
    assert (done.returncode, done.stdout) == (2, "")
    expected = f"{name}: takes no arguments, got '--port'; set environment variables (docs/reference/settings.md)\n"
    assert done.stderr == expected


@pytest.mark.parametrize("url", ["http://127.0.0.1:4222", "nats:/127.0.0.1"])
def test_service_ends_at_once_when_nats_url_is_no_address(tmp_path: Path, url: str) -> None:
    done = run(tmp_path, "http_bridge", NATS_URL=url)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"NATS_URL: '{url}' is no NATS address; it begins with nats://" in line and "cannot start" in line


async def test_service_that_cannot_start_does_not_say_that_it_stopped(stack: Stack) -> None:
    synth = stack.add("synth", TTS_ENGINE="parrot")
    synth.launch()
    assert await synth.ended(30) == 2
    last = synth.text().splitlines()[-1]
    assert "cannot start" in last and "TTS_ENGINE: engine 'parrot' is not installed" in last
    assert '"stopped"' not in synth.text()


async def test_service_that_was_ready_says_last_that_it_stopped(stack: Stack) -> None:
    (bridge,) = await stack.start("http_bridge")
    assert await bridge.stop() == 0
    assert '"event": "stopped"' in bridge.text().splitlines()[-1]
