"""A nats.micro service with one queue-grouped endpoint, whose requests are answered side by side."""

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
"""Answers a request by its payload and headers."""

log = logger.named(__name__)


async def serve(
    client: nats_client.Client,
    name: str,
    version: str,
    description: str,
    subject: str,
    answer: Answerer,
    queue: str,
) -> Service:
    """Serve `subject`, each request by one of the queue group; answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS` too.

    Requests in flight live on when the returned service is stopped; whoever closes the broker waits for them first.
    """
    running: set[asyncio.Task[None]] = set()

    async def respond(request: Request) -> None:
        data, headers = await answer(request.data, request.headers or {})
        try:
            await request.respond(data, headers=headers)
        except (
            nats.errors.Error,
            OSError,
            ValueError,
        ) as exc:  # ValueError: it named no reply subject that can be answered
            log.debug("an answer could not be sent", subject=subject, error=str(exc) or type(exc).__name__)

    async def handle(request: Request) -> None:
        # A subscription's callbacks run one at a time; an utterance must not wait for another one's end.
        task = asyncio.create_task(respond(request))
        running.add(task)
        task.add_done_callback(running.discard)

    service = await nats.micro.add_service(client, ServiceConfig(name=name, version=version, description=description))
    await service.add_endpoint(EndpointConfig(name=name, subject=subject, handler=handle, queue_group=queue))
    return service
