"""The command `orastream` (extra `cli`): a node on this machine, and everything a person asks of a node.

Nothing here is imported by the rest of the library; the services are started as processes, never imported.
"""

from __future__ import annotations

import sys

_NEEDED = frozenset({"typer", "click", "rich", "aiohttp"})


def main() -> int:
    """The entry point of the console script; gives the exit code."""
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
