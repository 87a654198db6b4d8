"""What the settings of the engines that speak through servers have in common. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

SHARE_OF_STALL = 0.75
"""Timeout for a silent server as a share of SYNTH_STALL_SECONDS. Less than 1, so that the error names the server."""


def server_url(text: str, example: str) -> str:
    """Returns the address of a server without a slash at its end. Raises ValueError with the example."""
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        secret = parts.username is not None or parts.password is not None
        plain = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        secret = plain = False
    if secret:
        raise ValueError(
            f"one with a user or a password in it (not shown) is not the address of a server, as in {example}"
        )
    if not plain or parts.query or parts.fragment:
        raise ValueError(f"{text.strip()!r} is not the address of a server, as in {example}")
    return url


def server_urls(text: str, example: str) -> list[str]:
    """Returns the comma-separated addresses: at least one, each once. Raises ValueError that says what to write."""
    urls = [server_url(part, example) for part in text.split(",") if part.strip()]
    if not urls:
        raise ValueError(f"name at least one server, as in {example}")
    if len(set(urls)) < len(urls):
        raise ValueError(
            "a server is named twice; name each once, because it gets only as many sentences as it can speak"
        )
    return urls
