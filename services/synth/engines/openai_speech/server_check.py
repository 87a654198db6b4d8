"""How speech servers are checked: with a GET of OPENAI_SPEECH_HEALTH_PATH, and with a connect while they are idle."""

from __future__ import annotations

from services.synth.engines.openai_speech.answer import KEY_PROBLEM
from services.synth.engines.servers import connection
from services.synth.engines.servers.connection import Aborted, ServerAccess, ServerFailed, checking


class SpeechServerCheck:
    """A server is well if it accepts the key and its status is below 500: one without that path can speak, too."""

    def __init__(self, path: str, access: ServerAccess) -> None:
        self._path = path
        self._access = access

    def listens(self, url: str) -> str:
        """See ServerCheck. Only connects: leaves no line in the server's log."""
        return connection.listens(url, self._access)

    def answers(self, url: str) -> str:
        """See ServerCheck."""
        try:
            with checking(url, self._access) as asked:
                status = asked.get(self._path)
        except (ServerFailed, Aborted) as exc:
            return str(exc) or "does not answer in time"
        if status in (401, 403):
            return KEY_PROBLEM.format(status=status)
        return "" if 200 <= status < 500 else f"answered {status} to GET {self._path}"
