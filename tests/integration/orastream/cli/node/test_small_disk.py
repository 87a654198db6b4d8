"""`orastream up` on a disk that cannot hold the default sizes of the streams: it starts, says so, and speaks."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orastream.broker import Broker
from orastream.cli.node.upfile import UpFile
from orastream.client.async_client import Client
from orastream.contract.messages import Report
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from tests.support.ipv6 import HAS_IPV6
from tests.support.names import NAMES
from tests.support.processes import Logs, Process
from tests.support.services import environment
from tests.support.tmpfs import small_disk

__all__ = ["small_disk"]

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]

FREE_PORTS = [word for name in ("nats", "gateway", "oraserver") for word in (f"--{name}-port", "0")]


async def spoken(up: Process, data: Path) -> tuple[UpFile, int]:
    """Wait until the node is ready, and let it speak; then drain it. Returns up.json, and the size of TTS_AUDIO."""

    async def ready() -> bool:
        return UpFile.read(data) is not None

    up.launch()
    try:
        await up.until_ready(ready, 60)
        file = UpFile.read(data)
        assert file is not None
        async with Broker(file.nats_url, name="test", connect_timeout_s=5) as broker:
            report = await Client(broker).say("A small disk.", session_id="s", phone_id="p", fire_and_forget=False)
            assert isinstance(report, Report) and report.status == "delivered", report
            info = await management.stream_info(JetStream(broker), NAMES.audio_stream)
        up.signal(signal.SIGTERM)
        assert await up.ended(40) == 0
    finally:
        up.kill()
    return file, info["config"]["max_bytes"]


async def test_up_speaks_on_a_small_disk_and_again_when_less_is_free(
    small_disk: Path, tmp_path: Path, logs: Logs
) -> None:
    """The second start finds streams that have reserved more than is free then. It listens on IPv6 alone, if it can."""
    data = small_disk / "node"

    def an_up(name: str, **env: str) -> Process:
        argv = [sys.executable, "-m", "orastream.cli", "up", *FREE_PORTS, "--data-dir", str(data)]
        logs[name] = tmp_path / f"{name}.log"
        return Process(name, argv, env=environment(env), cwd=tmp_path, log=logs[name])

    up = an_up("up", TTS_AUDIO_MAX_BYTES=str(4 << 30))
    _, size = await spoken(up, data)
    assert 100 << 20 < size < 200 << 20
    assert f"TTS_AUDIO_MAX_BYTES=4294967296 does not fit on the disk of --data-dir: {size} is used" in up.text()
    assert "the phrase cache is off: TTS_PHRASE_CACHE_MAX_BYTES" in up.text()

    subprocess.run(["fallocate", "-l", "300M", str(small_disk / "filler")], check=True, timeout=10)
    host, at = ("::1", "http://[::1]:") if HAS_IPV6 else ("127.0.0.1", "http://127.0.0.1:")
    again = an_up("up again", TTS_HOST=host)
    file, kept = await spoken(again, data)
    assert kept == size
    assert "TTS_AUDIO_MAX_BYTES" in again.text()
    assert "no room on the server for the limit of a stream" in (data / "logs" / "synth.log").read_text()
    assert file.gateway_url.startswith(at) and str(file.oraserver_url).startswith(at)
