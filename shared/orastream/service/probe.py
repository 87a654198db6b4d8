"""`python -m orastream.service.probe PORT [PATH]`: exit code 0 if loopback answers `GET PATH` (/readyz) with a 200.

The health check of the images. It prints the body of the answer, which says why a service is not ready. It runs every
few seconds in every container, so it uses sockets: importing `urllib.request` takes longer than the whole probe.
"""

from __future__ import annotations

import socket
import sys

TIMEOUT_S = 4.0
"""Timeout of each socket operation; `/readyz` itself waits at most 2 s for NATS."""
MAX_BYTES = 65_536


def answer(port: int, path: str, *, timeout_s: float = TIMEOUT_S) -> tuple[int, str]:
    """Status and body of the answer from loopback `port`. Raises OSError, and ValueError when it is not HTTP."""
    with _connected(port, timeout_s) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while len(received) < MAX_BYTES and (more := connection.recv(MAX_BYTES)):
            received += more
    head, _, body = received.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    if not version.startswith(b"HTTP/"):
        raise ValueError("the answer is not HTTP")
    return int(rest[:3]), body.decode(errors="replace")


def _connected(port: int, timeout_s: float) -> socket.socket:
    """A connection to 127.0.0.1, or to ::1 if nothing listens there (TTS_HOST=::1). Raises OSError of the first one."""
    try:
        return socket.create_connection(("127.0.0.1", port), timeout_s)
    except ConnectionRefusedError:
        try:
            return socket.create_connection(("::1", port), timeout_s)
        except OSError:
            pass
        raise


def main(arguments: list[str]) -> int:
    """Probe and print the answer. Returns the exit code: 0 for a 200, 2 for wrong arguments, else 1."""
    if not (0 < len(arguments) <= 2 and arguments[0].isdecimal()):
        sys.stderr.write("usage: python -m orastream.service.probe PORT [PATH]\n")
        return 2
    port, path = int(arguments[0]), arguments[1] if len(arguments) > 1 else "/readyz"
    try:
        status, body = answer(port, path)
    except (OSError, ValueError) as exc:
        sys.stdout.write(f"no answer on port {port}: {exc}\n")
        return 1
    sys.stdout.write(f"{status} {body.strip()}\n")
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
