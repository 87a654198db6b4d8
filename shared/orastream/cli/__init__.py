"""The command `orastream` (extra `cli`): runs a node on this machine, and sends requests and checks to a node.

The rest of the library does not import this package. It starts the services as processes and does not import them.
"""

from __future__ import annotations

import sys

_NEEDED = frozenset({"aiohttp", "click", "dotenv", "pydantic_settings", "rich", "structlog", "typer", "websockets"})


def main() -> int:
    """The entry point of the console script; returns the exit code."""
    try:
        from orastream.cli.app import app
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in _NEEDED:
            raise
        print(
            f"orastream: {exc.name} is missing; install the command line: pip install 'orastream[cli]'", file=sys.stderr
        )
        return 1
    app()
    return 0
