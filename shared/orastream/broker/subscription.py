"""What a subscriber holds, and closes when it has heard enough."""

from __future__ import annotations

import contextlib

import nats.errors
from nats.aio.subscription import Subscription as NatsSubscription

from orastream.broker.fastpath.dispatch import DispatchingClient


class Subscription:
    """Interest in a subject; `close()` ends it and is safe to call twice and while disconnected."""

    def __init__(self, client: DispatchingClient, inner: NatsSubscription) -> None:
        self._client = client
        self._inner = inner

    async def close(self) -> None:
        """End the interest; the callback is not called any more."""
        self._client.forget(self._inner)
        with contextlib.suppress(nats.errors.Error, OSError, ValueError):
            await self._inner.unsubscribe()
