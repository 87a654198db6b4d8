"""The handle of a subscription."""

from __future__ import annotations

import contextlib

import nats.errors
from nats.aio.subscription import Subscription as NatsSubscription

from orastream.broker.fastpath.dispatch import DispatchingClient


class Subscription:
    """A subscription to a subject. `close()` ends it; it may be called twice and while disconnected."""

    def __init__(self, client: DispatchingClient, inner: NatsSubscription) -> None:
        self._client = client
        self._inner = inner

    async def close(self) -> None:
        """End the subscription. The callback is not called any more. Raises nothing while disconnected."""
        self._client.forget(self._inner)
        with contextlib.suppress(nats.errors.Error, OSError, ValueError):
            await self._inner.unsubscribe()
