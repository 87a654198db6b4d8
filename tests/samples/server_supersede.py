"""docs/guide/llm-server.md: `# also client.utterance(`"""

import asyncio

from given import NATS

from orastream import Client


async def sample(client: Client) -> None:
    SAMPLE


async def main() -> None:
    async with Client(NATS) as client, asyncio.timeout(30):
        await sample(client)


asyncio.run(main())
