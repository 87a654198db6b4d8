"""The port through which delivery writes to OraServer. Each bridge implements `Sink` and `Link`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.bridge_record import BridgeRecord
from orastream.contract.errors import Code
from orastream.contract.oraserver.from_bridge import CancelUtterances
from orastream.contract.sentence_start import SentenceStart
from orastream.delivery.rules.speech import Speech, SpeechEnd
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.pending_cancels import PendingCancel
from orastream.delivery.rules.streams.stream_terms import StreamRequest
from orastream.delivery.rules.utterance_effects import DeliveryRules

__all__ = ["Link", "LinkLost", "ResumingLink", "Sink", "Speech", "SpeechEnd"]


class LinkLost(Exception):
    """The link to OraServer broke or could not be opened. `refused`: OraServer answered 4xx, so a retry is of no use.

    The message is the reason, for operators. It never contains spoken text. `status` is the HTTP status with which
    OraServer has answered instead, None if it has not. `about_tls`: the message says what is wrong with TLS, and after
    its last `; ` what to do. `cancelled`: OraServer knows that the utterance was cancelled, so it must not be sent.
    """

    def __init__(
        self, reason: str, *, status: int | None = None, about_tls: bool = False, cancelled: bool = False
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.about_tls = about_tls
        self.cancelled = cancelled

    @property
    def refused(self) -> bool:
        """Whether OraServer has answered with 4xx."""
        return self.status is not None and 400 <= self.status < 500


class Link(Protocol):
    """An open link to OraServer for one session and phone. One utterance at a time. Use from one task."""

    quick: bool
    """Whether OraServer has given its last answer over it quickly. Kept for the next utterance; False at first."""

    @property
    def resuming(self) -> ResumingLink | None:
        """The link itself, if OraServer says over it at which byte an utterance goes on (protocol v2); else None."""
        ...

    @property
    def lost(self) -> LinkLost | None:
        """Why the link is not open any more, or None while it is open."""
        ...

    @property
    def room(self) -> bool:
        """Whether `write` may be called now. The link calls `wake` when this becomes true again."""
        ...

    def begin(self, speech: Speech) -> None:
        """Begin an utterance: the next writes belong to it."""
        ...

    def write(self, start: AudioStart, chunk: AudioChunk, began: SentenceStart | None = None) -> None:
        """Write a chunk without waiting. Raises nothing: if the link breaks, `lost` says so.

        `began`: a sentence that began in an earlier chunk. A resuming link sends it again before this chunk, with those
        of the chunk's words that are its own.
        """
        ...

    def complete(self, start: AudioStart, end: AudioEnd) -> None:
        """Write that the utterance is complete."""
        ...

    def ended(self, end: SpeechEnd) -> None:
        """Write that an utterance has ended without `complete`, or is cancelled. Does nothing over HTTP.

        Needs no `begin`: it may be an earlier utterance than the present one.
        """
        ...

    def confirm(self, may_write: Callable[[], bool]) -> Awaitable[None]:
        """Wait until OraServer has confirmed everything written before the call. Raises LinkLost. Cancel-safe.

        A link that sends something after the call first asks `may_write` whether this bridge still may. May return a
        future; the caller then needs no task to wait for it.
        """
        ...

    def end(self) -> None:
        """The utterance is over: keep nothing of it. `begin` comes before the next write."""
        ...

    def abandon(self) -> None:
        """End the utterance without `complete`. Bytes of it that were not sent yet must not be sent."""
        ...

    def cut(self) -> None:
        """End the link now, so that OraServer gets none of the bytes that it has not received yet."""
        ...

    async def close(self) -> None:
        """Close the link at once. Nothing more is sent."""
        ...


class ResumingLink(Link, Protocol):
    """A link over which OraServer says what it has. `open` comes after `begin` and before the first `write`."""

    def open(self, request: StreamRequest, listener: Listener) -> None:
        """Ask where the utterance goes on. `opened_upto` is the answer.

        `listener` is that of the session. The link counts in it what it sends, and waits while it has enough.
        """
        ...

    @property
    def opened_upto(self) -> int | None:
        """How many bytes of the utterance OraServer has; None before it has answered. The link calls `wake` then."""
        ...

    @property
    def sent_s(self) -> float:
        """The seconds of the utterance up to what was sent over this link, whether OraServer has it or not."""
        ...

    @property
    def acked_s(self) -> float:
        """The seconds of the utterance up to what OraServer has stored, as it has said over this link."""
        ...

    @property
    def retransmitted_bytes(self) -> int:
        """Bytes of the utterance that OraServer has lost, and that were sent again over this link."""
        ...

    @property
    def skipped_bytes(self) -> int:
        """Bytes of the utterance that OraServer has left out, because their play time had passed."""
        ...

    @property
    def reports_played(self) -> bool:
        """Whether OraServer says how much of an utterance the phone has played."""
        ...

    def failed(self, code: Code) -> None:
        """Write that the utterance has failed, and that what was written is all there is."""
        ...

    def cancel(self, cancel: CancelUtterances, listener: Listener) -> PendingCancel:
        """Write a barge-in for the session, before everything that is not written yet. `wake` is called at its end.

        `listener` is that of the session: it has nothing any more of what the cancel covers.
        """
        ...


class Sink(Protocol):
    """Opens the links of a bridge to OraServer."""

    @property
    def transport(self) -> Literal["websocket", "http"]:
        """The transport of the requests that this bridge delivers."""
        ...

    @property
    def rules(self) -> DeliveryRules:
        """Limits for confirmation, retries and timeouts of this kind of bridge."""
        ...

    @property
    def metadata_rate(self) -> bool:
        """Whether the metadata of an utterance have its sample rate."""
        ...

    @property
    def idle_s(self) -> float:
        """Seconds for which an unused link, or a session without work, is kept."""
        ...

    @property
    def fallback(self) -> Sink | None:
        """Delivers an utterance that this sink cannot, because it does not reach OraServer or is refused.

        None, if `rules.falls_back` is False: the utterance has failed.
        """
        ...

    @property
    def link_per_utterance(self) -> bool:
        """Whether each utterance gets a link of its own."""
        ...

    @property
    def record(self) -> BridgeRecord:
        """What the bridge says of its OraServer now. With `announces_cancels`, OraServer may have to know each one."""
        ...

    async def connect_for_cancels(self, session_id: str, wake: Callable[[], None]) -> ResumingLink | None:
        """Open a link to cancel over, or None if OraServer needs no cancels. Raises LinkLost. Cancel-safe."""
        ...

    async def connect(self, session_id: str, phone_id: str, wake: Callable[[], None]) -> Link:
        """Open a link. Raises LinkLost. Cancel-safe."""
        ...
