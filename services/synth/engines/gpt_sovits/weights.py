"""The weights of a GPT-SoVITS server, and how such servers are checked."""

from __future__ import annotations

import contextlib

from services.synth.engines.servers import connection
from services.synth.engines.servers.connection import Aborted, ServerFailed, checking
from services.synth.engines.servers.servers import ServerKind

Weights = tuple[str | None, str | None]
"""Paths of the GPT and SoVITS weights; None: those that the server was started with."""

NO_WEIGHTS: Weights = (None, None)


class GptSovitsCheck:
    """A server is well if it answers `GET /` with a status below 500 (api_v2: 404)."""

    def listens(self, url: str) -> str:
        """See ServerCheck. Only connects: leaves no line in the server's log."""
        return connection.listens(url)

    def answers(self, url: str) -> str:
        """See ServerCheck."""
        with contextlib.suppress(ServerFailed, Aborted), checking(url) as asked:
            if 0 < asked.get("/") < 500:
                return ""
        return "does not answer"


GPT_SOVITS = ServerKind("GPT-SoVITS server", "GPT_SOVITS_URLS", GptSovitsCheck(), unloaded=NO_WEIGHTS)
