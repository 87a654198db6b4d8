"""Yields the audio of a sentence that a server speaks, as `Engine.synthesize` must."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from services.synth.engines.servers.server_sentence import ServerSentence

_POLL_S = 0.05
_SIGN_OF_LIFE_S = 1.0


def spoken_by(request: ServerSentence, stop: Callable[[], bool]) -> Iterator[bytes]:
    """Yields PCM as the server sends it, and an empty piece every second without audio. Raises EngineError.

    Stopped or closed, it closes the connection to the server at once.
    """
    last_sign = time.monotonic()
    try:
        while not stop() and (pcm := request.next_pcm(_POLL_S)) is not None:
            if pcm or time.monotonic() - last_sign >= _SIGN_OF_LIFE_S:
                yield pcm
                last_sign = time.monotonic()
    finally:
        request.abort()
