"""docs/guide/llm-server.md: `# the words by the number of their sentence`"""

import asyncio

from given import NATS

from orastream import Client


async def sample(client: Client) -> None:
    SAMPLE
    assert words[0][0][0] == "2025년" and words[0][0][2] > 0, words


async def main() -> None:
    async with Client(NATS) as client, asyncio.timeout(30):
        await sample(client)


asyncio.run(main())
