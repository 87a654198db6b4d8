"""The first connection. One try of nats-py may never end, so each try has a time limit here, and is logged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import nats.errors

from orastream.base import logger, tasks
from orastream.base.backoff import Backoff
from orastream.base.foreign_text import cleaned
from orastream.broker import address
from orastream.contract.errors import NodeUnavailable, SettingsError

TRY_S = 3.0

log = logger.named("orastream.broker.connection")  # the name under which all messages about the connection are logged


async def until_connected(
    shown: str, attempt: Callable[[], Coroutine[Any, Any, None]], timeout_s: float | None, origin: address.AddressOrigin
) -> None:
    """Repeat `attempt` until it succeeds. `shown` is the address without its password, for messages.

    Raises NodeUnavailable after `timeout_s` seconds (None: never), SettingsError for an invalid URL. Cancel-safe.
    """
    backoff = Backoff(first_s=0.1, max_s=2.0)
    loop = asyncio.get_running_loop()
    deadline = None if timeout_s is None else loop.time() + timeout_s
    while True:
        left = TRY_S if deadline is None else max(0.05, min(TRY_S, deadline - loop.time()))
        trying = asyncio.create_task(attempt())
        try:
            await asyncio.wait({trying}, timeout=left)
            if trying.done():
                trying.result()
                return
            problem = "no answer"
        except (OSError, TimeoutError, nats.errors.Error) as exc:
            problem = cleaned(str(exc)) or type(exc).__name__
            if address.unusable(problem):
                raise SettingsError(f"{origin.field}: {shown}: {problem}; {address.FORM}") from None
        finally:
            await tasks.end(trying)
        wait = backoff.next_s()
        if deadline is not None and loop.time() + wait > deadline:
            raise NodeUnavailable(address.unconnected(shown, problem, origin))
        log.warning("waiting for NATS", error=address.unconnected(shown, problem, origin))
        await asyncio.sleep(wait)
