"""The port between the shared core and a bridge's own way to OraServer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.delivery.rules.utterance_effects import DeliveryRules


class LinkLost(Exception):
    """The way to OraServer broke or could not be opened. `refused`: a 4xx, trying again is no use.

    The message is the reason as an operator reads it; it never holds spoken text.
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Speech:
    """What a sink must know of an utterance to frame it: the ids as the caller gave them, and their tokens.

    A chunk or an end that has a `text` of its own goes before this one.
    """

    session_id: str
    phone_id: str
    request_id: str
    token: str
    text: str


class Link(Protocol):
    """An open way to OraServer for one session and phone. One utterance at a time; used from one task."""

    @property
    def lost(self) -> LinkLost | None:
        """Why it is not open any more, or None."""
        ...

    @property
    def room(self) -> bool:
        """Whether `write` may be called now; `wake` is called when this turns true again."""
        ...

    def begin(self, speech: Speech) -> None:
        """The next writes belong to this utterance."""
        ...

    def write(self, start: AudioStart, chunk: AudioChunk) -> None:
        """Write a chunk now, without blocking; a break shows in `lost`."""
        ...

    def complete(self, start: AudioStart, total_chunks: int, text: str | None = None) -> None:
        """Write that the utterance is complete. `text` is all of it, where the request does not have it."""
        ...

    def confirm(self) -> Awaitable[None]:
        """Done when OraServer has answered for all that was written before. Raises LinkLost. Cancel-safe.

        A future needs no task to be waited for.
        """
        ...

    async def abandon(self) -> None:
        """The utterance begun ends without `complete`: none of its bytes that have not left yet may leave."""
        ...

    async def close(self) -> None:
        """End it at once; nothing more leaves."""
        ...


class Sink(Protocol):
    """A bridge's way to OraServer: opens links."""

    @property
    def transport(self) -> Literal["websocket", "http"]:
        """The transport of the requests that this bridge delivers."""
        ...

    @property
    def rules(self) -> DeliveryRules:
        """How this way confirms, retries and gives up."""
        ...

    @property
    def idle_s(self) -> float:
        """How long an unused link, and a session without work, are kept."""
        ...

    @property
    def link_per_utterance(self) -> bool:
        """Whether each utterance gets a link of its own."""
        ...

    async def connect(self, session_id: str, phone_id: str, wake: Callable[[], None]) -> Link:
        """Open a link. Raises LinkLost. Cancel-safe."""
        ...
