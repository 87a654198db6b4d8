"""Which protocol a connection to OraServer offers, and what is remembered of the answers. Pure; monotonic seconds."""

from __future__ import annotations

from typing import Literal

V1, V2 = "orastream.v1", "orastream.v2"
"""The names of the WebSocket subprotocols. v1 comes first in an offer of both, because some WebSocket libraries select
the first one that they are offered, although the application knows neither."""
REMEMBERED_S = 600.0
"""How long a server that speaks v1 is not asked again, unless a connection fails before."""
NO_REFUSALS_OF_THE_OFFER = frozenset({401, 403, 429})
"""Statuses that say something else than that the server does not like the offer."""

ProtocolSetting = Literal["auto", "v1", "v2"]


class Negotiation:
    """What is known of one OraServer."""

    def __init__(self, setting: ProtocolSetting) -> None:
        self._setting = setting
        self._v2 = setting == "v2"
        self._greeted = False
        self._v1_until = float("inf") if setting == "v1" else float("-inf")

    @property
    def speaks_v2(self) -> bool:
        """Whether it has selected v2 the last time, or must."""
        return self._v2

    def speaks_v1(self, now: float) -> bool:
        """Whether it speaks v1 and is not asked again now."""
        return not self._v2 and now < self._v1_until

    def offer(self, now: float) -> tuple[str, ...]:
        """The subprotocols to offer with the next connection."""
        if self._v2:
            return (V2,)
        return () if self.speaks_v1(now) else (V1, V2)

    def answered(self, selected: str | None, now: float) -> None:
        """The handshake of a connection with an offer has succeeded, and this subprotocol was selected."""
        if selected == V2:
            self._v2 = True
        elif self._setting != "v2":
            self._note_v1(now)

    def refused(self, status: int | None) -> bool:
        """An offer was answered with this HTTP status. Return whether to try once without an offer."""
        if self._setting != "auto" or status is None or not 400 <= status < 500:
            return False
        return status not in NO_REFUSALS_OF_THE_OFFER

    def hello(self) -> None:
        """OraServer has said hello over v2: it really speaks it."""
        self._greeted = True

    def no_hello(self, now: float) -> None:
        """OraServer has selected v2 and said no hello. If it never has, its library selects what it does not know."""
        if self._setting == "auto" and not self._greeted:
            self._note_v1(now)

    def forget_v2(self) -> None:
        """An offer of v2 alone was refused: ask again, the server may be another one now."""
        if self._setting == "auto":
            self._v2 = False

    def spoke_v1(self, now: float) -> None:
        """A connection without an offer works after one with an offer was refused."""
        if self._setting != "v2":
            self._note_v1(now)

    def failed(self) -> None:
        """A connection of v1 could not be opened: ask again, the server may be another one now."""
        if self._setting == "auto":
            self._v1_until = float("-inf")

    def _note_v1(self, now: float) -> None:
        self._v2 = False
        if self._setting == "auto":
            self._v1_until = now + REMEMBERED_S
