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
    attempt: Callable[[], Coroutine[Any, Any, None]],
    timeout_s: float | None,
    unconnected: Callable[[str], str],
    unusable: Callable[[str], str],
) -> None:
    """Repeat `attempt` until it succeeds. The last two turn a problem into the message about it.

    Raises NodeUnavailable after `timeout_s` seconds (None: never), SettingsError for an invalid URL. Cancel-safe.
    """
    backoff = Backoff(first_s=0.1, max_s=2.0)
    loop = asyncio.get_running_loop()
    deadline = None if timeout_s is None else loop.time() + timeout_s
    message: str | None = None
    while True:
        left = TRY_S if deadline is None else max(0.05, min(TRY_S, deadline - loop.time()))
        trying = asyncio.create_task(attempt())
        try:
            await asyncio.wait({trying}, timeout=left)
            if trying.done():
                trying.result()
                return
            if message is None or left == TRY_S:  # a last try that is cut short says less than the one before it
                message = unconnected(address.NO_ANSWER)
        except (OSError, TimeoutError, nats.errors.Error) as exc:
            problem = cleaned(str(exc)) or type(exc).__name__
            if address.unusable(problem):
                raise SettingsError(unusable(problem)) from None
            message = unconnected(problem)
        finally:
            await tasks.end(trying)
        wait = backoff.next_s()
        if deadline is not None and loop.time() + wait > deadline:
            raise NodeUnavailable(message)
        log.warning("waiting for NATS", error=message)
        await asyncio.sleep(wait)
