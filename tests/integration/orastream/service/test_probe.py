"""The health check of the images, against a real socket."""

from __future__ import annotations

import socket
import threading

import pytest

from orastream.service import probe

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("sent", "code", "says"),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"status": "ready"}', 0, '200 {"status": "ready"}'),
        (b"HTTP/1.0 503 Service Unavailable\r\n\r\nno NATS", 1, "503 no NATS"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 1, "204 "),
        (b"-ERR 'Unknown Protocol Operation'\r\n", 1, "not HTTP"),
        (b"", 1, "not HTTP"),
    ],
    ids=["ready", "unready", "another status", "another protocol", "closed"],
)
def test_probe_succeeds_only_for_status_200(
    sent: bytes, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                received.append(connection.recv(4096))
                connection.sendall(sent)

        thread = threading.Thread(target=serve)
        thread.start()
        assert probe.main([str(server.getsockname()[1])]) == code
        thread.join()
    assert received[0].startswith(b"GET /readyz HTTP/1.0\r\n")
    assert says in capsys.readouterr().out


def test_probe_fails_when_no_process_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert probe.main([str(port), "/healthz"]) == 1
    assert f"no answer on port {port}" in capsys.readouterr().out


def test_probe_times_out_when_the_service_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(TimeoutError):
        probe.answer(server.getsockname()[1], "/readyz", timeout_s=0.1)
