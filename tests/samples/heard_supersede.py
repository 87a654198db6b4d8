"""docs/reference/heard.md: `# if r1 has failed without audio`"""

import asyncio
import contextlib

from given import NATS, Context

from orastream import Client


async def sample(client: Client, context: Context) -> None:
    SAMPLE


async def main() -> None:
    async with Client(NATS) as client, asyncio.timeout(30):
        accepted = await client.say("안녕하세요.", session_id="call-1", phone_id="phone-7", request_id="r1")
        await sample(client, Context())


asyncio.run(main())
