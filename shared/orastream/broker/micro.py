"""nats.micro services, whose endpoints are in a queue group; they answer requests concurrently."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import nats.aio.client as nats_client
import nats.errors
from nats.micro.request import Request
from nats.micro.service import EndpointConfig, Service
from nats.micro.service import ServiceConfig as ServiceConfig

from orastream.base import logger
from orastream.contract.errors import NodeUnavailable

Answer = tuple[bytes, dict[str, str] | None]
"""Payload and headers of an answer."""
Answerer = Callable[[bytes, Mapping[str, str]], Awaitable[Answer]]
"""Takes the payload and headers of a request."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request to an endpoint whose subject has wildcards."""

    subject: str
    data: bytes
    headers: Mapping[str, str]


Answers = Callable[[Question], AsyncGenerator[Answer, None]]
"""Yields the answers to one request. It must not raise."""

MAX_RUNNING = 4096
"""Requests to one service that are answered at the same time. Further ones are dropped: their senders get no answer."""
CONFIRM_S = 2.0
"""How long to wait until the server has confirmed the subscriptions."""

log = logger.named(__name__)


async def _send(request: Request, answer: Answer) -> bool:
    data, headers = answer
    try:
        await request.respond(data, headers=headers)
        return True
    except (nats.errors.Error, OSError, ValueError) as exc:  # ValueError: no reply subject, or an invalid one
        log.debug("an answer could not be sent", subject=request.subject, error=str(exc) or type(exc).__name__)
        return False


def single(answer: Answerer) -> Answers:
    """Return `answer` as a function for `serve`, which yields the one answer of each request."""

    async def answers(question: Question) -> AsyncGenerator[Answer, None]:
        yield await answer(question.data, question.headers)

    return answers


async def serve(
    client: nats_client.Client, config: ServiceConfig, endpoints: Mapping[str, str], answers: Answers, queue: str
) -> Service:
    """Start a service with these endpoints: subjects by name. One member of the queue group answers each request.

    It also answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS`. Stopping the returned service does not end requests in
    flight: wait for them before you close the broker. It stops asking `answers` for more when an answer cannot be sent,
    and drops requests beyond MAX_RUNNING.
    If NATS is lost meanwhile, the service begins when it is back. Raises NodeUnavailable if the connection is closed.
    """
    running: set[asyncio.Task[None]] = set()
    dropped = 0

    async def respond(request: Request) -> None:
        question = Question(request.subject, request.data, request.headers or {})
        async with contextlib.aclosing(answers(question)) as several:
            async for answer in several:
                if not await _send(request, answer):
                    return

    async def handle(request: Request) -> None:
        nonlocal dropped
        if len(running) >= MAX_RUNNING:  # a flood: without a limit its tasks would fill the memory
            dropped += 1
            if dropped.bit_count() == 1:  # the first one, the second, the fourth, …
                log.warning(
                    "requests to a service are dropped", service=config.name, running=MAX_RUNNING, dropped=dropped
                )
            return
        # A subscription runs its callbacks one at a time: without a task, a request would wait for the one before it.
        task = asyncio.create_task(respond(request))
        running.add(task)
        task.add_done_callback(running.discard)

    service = Service(client, config)
    try:
        try:
            async with asyncio.timeout(CONFIRM_S):
                await service.start()  # subscribes, then waits for a pong
        except (TimeoutError, nats.errors.TimeoutError):
            # The pong of a connection that broke never comes. The client subscribes again when it reconnects.
            log.debug("NATS has not confirmed the subscriptions of a service", service=config.name)
        for name, subject in endpoints.items():
            endpoint = EndpointConfig(name=name, subject=subject, handler=handle, queue_group=queue)
            await service.add_endpoint(endpoint)
    except (nats.errors.Error, OSError) as exc:
        raise NodeUnavailable(f"{config.name}: {exc or type(exc).__name__}") from exc
    return service
