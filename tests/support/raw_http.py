"""HTTP/1.1 on a socket, for a test's server that must control each byte."""

from __future__ import annotations

import socket


def request_of(connection: socket.socket) -> tuple[str, str, dict[str, str], bytes] | None:
    """Returns method, path, headers (names in lower case) and body of a request; None if the client leaves."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65_536)):
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        if not (more := connection.recv(65_536)):
            return None
        body += more
    method, path, _ = first.split(" ")
    return method, path, headers, body


def response_head(status: int, kind: str, size: int | None, headers: dict[str, str] | None = None) -> bytes:
    """Returns the head of a response with this Content-Type and Content-Length; without a size the body is open."""
    lines = [f"HTTP/1.1 {status} Status", "Connection: close"]
    lines += [f"Content-Type: {kind}"] if kind else []
    lines += [f"Content-Length: {size}"] if size is not None else []
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
