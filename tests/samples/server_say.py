"""docs/guide/llm-server.md: `from orastream import Client, InvalidRequest`"""

import asyncio

from given import NATS


async def sample() -> None:
    SAMPLE
    async with Client(NATS) as client:
        report = await client.wait("call-1", accepted.request_id)
    assert report.status == "delivered", report


asyncio.run(sample())
