"""The text of a Pipecat audio context, cut into requests of the node. No I/O."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False, slots=True)
class TurnRequest:
    """A request: its options, and its text as it comes."""

    first: str
    options: dict[str, Any]
    more: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    """The pieces after `first`; None: the text is complete."""
    chars: int = 0


@dataclass(eq=False, slots=True)
class SpokenTurn:
    """An audio context of Pipecat: one request, or several that are spoken one after another."""

    complete: bool = False
    """No more text comes."""
    failed: bool = False
    """A request has failed: the rest of the text is not spoken."""
    seconds: float = 0.0
    """Length of the audio so far."""
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    """One for each request that has not ended."""
    _open: TurnRequest | None = None

    @property
    def ended(self) -> bool:
        """Whether all its text has been spoken, or will not be."""
        return self.complete and not self.tasks

    def write(self, text: str, options: dict[str, Any], max_chars: int) -> TurnRequest | None:
        """Add a piece of text. Return the request that begins with it, or None: it belongs to the one before.

        A request ends before it has more than `max_chars` characters, which is the node's limit.
        """
        if self._open is not None and self._open.chars + len(text) <= max_chars:
            self._open.more.put_nowait(text)
            self._open.chars += len(text)
            return None
        self.end_request()
        self._open = TurnRequest(text, options, chars=len(text))
        return self._open

    def end_request(self) -> None:
        """The text of the current request is complete. Later text begins another one."""
        if self._open is not None:
            self._open.more.put_nowait(None)
            self._open = None
