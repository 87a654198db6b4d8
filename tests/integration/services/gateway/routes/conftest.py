"""Fixtures of the tests of routes: a gateway alone, and a client of HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from orastream.jetstream.api import JetStream
from tests.support.services import ServiceProcess, Stack


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(40)) as http:
        yield http


@pytest.fixture
async def gateway(stack: Stack, js: JetStream) -> ServiceProcess:
    (process,) = await stack.start("gateway")
    return process
