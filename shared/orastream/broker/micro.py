"""A nats.micro service with one endpoint in a queue group; it answers requests concurrently."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import nats.aio.client as nats_client
import nats.errors
from nats.micro.request import Request
from nats.micro.service import EndpointConfig, Service, ServiceConfig

from orastream.base import logger
from orastream.contract.errors import NodeUnavailable

Answer = tuple[bytes, dict[str, str] | None]
"""Payload and headers of an answer."""
Answerer = Callable[[bytes, Mapping[str, str]], Awaitable[Answer]]
"""Takes the payload and headers of a request."""

CONFIRM_S = 2.0
"""How long to wait until the server has confirmed the subscriptions."""

log = logger.named(__name__)


async def serve(
    client: nats_client.Client, config: ServiceConfig, subject: str, answer: Answerer, queue: str
) -> Service:
    """Start a service on `subject`. One member of the queue group answers each request.

    It also answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS`. Stopping the returned service does not end requests in
    flight: wait for them before you close the broker. If NATS is lost meanwhile, the service begins when it is back.
    Raises NodeUnavailable if the connection is closed.
    """
    running: set[asyncio.Task[None]] = set()

    async def respond(request: Request) -> None:
        data, headers = await answer(request.data, request.headers or {})
        try:
            await request.respond(data, headers=headers)
        except (nats.errors.Error, OSError, ValueError) as exc:  # ValueError: no reply subject, or an invalid one
            log.debug("an answer could not be sent", subject=subject, error=str(exc) or type(exc).__name__)

    async def handle(request: Request) -> None:
        # A subscription runs its callbacks one at a time: without a task, a request would wait for the one before it.
        task = asyncio.create_task(respond(request))
        running.add(task)
        task.add_done_callback(running.discard)

    service = Service(client, config)
    endpoint = EndpointConfig(name=config.name, subject=subject, handler=handle, queue_group=queue)
    try:
        try:
            async with asyncio.timeout(CONFIRM_S):
                await service.start()  # subscribes, then waits for a pong
        except (TimeoutError, nats.errors.TimeoutError):
            # The pong of a connection that broke never comes. The client subscribes again when it reconnects.
            log.debug("NATS has not confirmed the subscriptions of a service", service=config.name)
        await service.add_endpoint(endpoint)
    except (nats.errors.Error, OSError) as exc:
        raise NodeUnavailable(f"{subject}: {exc or type(exc).__name__}") from exc
    return service
