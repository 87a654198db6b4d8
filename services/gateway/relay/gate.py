"""What a caller that is not trusted may still ask: bounds its pending requests, and what it asks in a minute."""

from __future__ import annotations

from collections.abc import Collection

from orastream.contract.caller import OBSERVERS, TRUSTED, UNKNOWN
from orastream.contract.errors import InvalidRequest, Overloaded
from services.gateway.access.caller_limits import CallerLimits
from services.gateway.access.policy import ApiCaller
from services.gateway.http.responses import Refused
from services.gateway.relay.pending import PendingRequests


class CallerGate:
    """The limits of the accounts in TTS_CALLERS, except the trusted one. For one event loop."""

    def __init__(self, accounts: Collection[str], limits: CallerLimits, pending: PendingRequests) -> None:
        self._accounts = frozenset(accounts)
        self._limits = limits
        self._pending = pending

    @property
    def guests(self) -> frozenset[str]:
        """All accounts but the trusted one; none on a node without accounts."""
        return (self._accounts | {OBSERVERS}) - {TRUSTED} if self._accounts else frozenset()

    def account(self, name: str) -> str:
        """The account under whose subject its requests are stored, or UNKNOWN: the streams have none for it."""
        return name if name in self._accounts else UNKNOWN

    def check_reply(self, account: str, reply_to: object) -> None:
        """Raise InvalidRequest for a `replyTo` of somebody without an account, on a node that has accounts.

        The report would be published where another account listens, or where nobody can.
        """
        if self._accounts and account == UNKNOWN and isinstance(reply_to, str):
            raise InvalidRequest("replyTo", "only a caller in a NATS account may name one here; leave it out")

    @property
    def counts_characters(self) -> bool:
        """Whether `admit` needs the number of characters."""
        return self._limits.counts_characters

    async def admit(self, account: str, characters: int) -> None:
        """Count a request of the account, which is stored now.

        Raises Overloaded, InvalidRequest for a text that is too long for a minute's limit, and NodeUnavailable.
        """
        if account == TRUSTED:
            return
        try:
            await self._limits.check(ApiCaller(account, account))
            if not await self._pending.take(account):
                limit = self._pending.limit
                text = f"{limit} requests of this caller are not final; wait for some of them"
                raise Overloaded(f"TTS_MAX_PENDING_PER_CALLER: {text}")
            await self._limits.take(ApiCaller(account, account), characters)
        except Refused as exc:
            raise Overloaded(exc.answer.body["error"]["message"]) from None
