"""A nats.micro service with one endpoint in a queue group; it answers requests concurrently."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import nats.aio.client as nats_client
import nats.errors
import nats.micro
from nats.micro.request import Request
from nats.micro.service import EndpointConfig, Service, ServiceConfig

from orastream.base import logger

Answer = tuple[bytes, dict[str, str] | None]
"""Payload and headers of an answer."""
Answerer = Callable[[bytes, Mapping[str, str]], Awaitable[Answer]]
"""Takes the payload and headers of a request."""

log = logger.named(__name__)


async def serve(
    client: nats_client.Client, config: ServiceConfig, subject: str, answer: Answerer, queue: str
) -> Service:
    """Start a service on `subject`. One member of the queue group answers each request.

    It also answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS`. Stopping the returned service does not end requests in
    flight: wait for them before you close the broker.
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

    service = await nats.micro.add_service(client, config)
    await service.add_endpoint(EndpointConfig(name=config.name, subject=subject, handler=handle, queue_group=queue))
    return service
