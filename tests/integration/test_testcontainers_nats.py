"""The streams and the client on the NATS image that compose.yaml uses, started by testcontainers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orastream.client.async_client import Client
from orastream.contract import codec, subjects
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.docker import NATS_IMAGE, require_docker
from tests.support.names import NAMES

__all__ = ["require_docker"]

pytestmark = [
    pytest.mark.integration,
    pytest.mark.docker,
    pytest.mark.timeout(180),
    # testcontainers' own NatsContainer uses a wait function that testcontainers has deprecated.
    pytest.mark.filterwarnings("ignore:The @wait_container_is_ready decorator is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The wait_for_logs function with string:DeprecationWarning"),
]


@pytest.fixture
def nats_url(require_docker: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from testcontainers.community.nats import NatsContainer  # it warns when imported: only under these filters
    from testcontainers.core.config import ConnectionMode, testcontainers_config

    # No reaper: it would be one more image to pull, and the `with` removes the container. Published ports are
    # on loopback, as in compose.yaml, though this machine may itself look like a container.
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    monkeypatch.setattr(testcontainers_config, "tc_host_override", "127.0.0.1")
    monkeypatch.setattr(testcontainers_config, "connection_mode_override", ConnectionMode.docker_host)
    with NatsContainer(NATS_IMAGE, jetstream=True) as container:
        yield container.nats_uri()


async def test_request_is_stored_and_read_back(nats_url: str) -> None:
    async with Client(nats_url) as client:
        js = JetStream(client.broker)
        await StreamKeeper(js, StreamLimits(audio_max_bytes=64 << 20), change=True).ensure()
        fields: codec.Map = {"text": "안녕하세요", "sessionId": "s 1", "phoneId": "p1", "requestId": "r1"}

        acceptance, waits = await client.submit(fields)
        again, _ = await client.submit(fields)

        sequence = acceptance.request_seq
        assert (acceptance.request_id, acceptance.duplicate, waits) == ("r1", False, False)
        assert (again.request_seq, again.duplicate) == (sequence, True)
        report = await client.report("s 1", "r1")
        assert report is not None
        assert (report.status, report.request_seq, report.session_id) == ("queued", sequence, "s 1")
        stored = await js.after(NAMES.sessions_stream, NAMES.session_request(subjects.token("s 1")), 0)
        assert stored is not None
        assert stored.sequence == sequence
        assert codec.decode(stored.data)["text"] == "안녕하세요"
        assert await js.after(NAMES.sessions_stream, stored.subject, stored.sequence) is None
