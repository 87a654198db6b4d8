"""docs/guide/llm-server.md: `# only if you want to know the outcome`"""

import asyncio
from collections.abc import AsyncIterator

from given import NATS, tokens

from orastream import Client


async def sample(client: Client, llm_tokens: AsyncIterator[str]) -> None:
    SAMPLE
    assert report.status == "delivered", report


async def main() -> None:
    async with Client(NATS) as client, asyncio.timeout(30):
        await sample(client, tokens())


asyncio.run(main())
