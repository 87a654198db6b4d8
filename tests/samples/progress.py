"""docs/reference/progress.md: `client.progress("call-1", request_id)`"""

import asyncio

from given import NATS

from orastream import Client


async def sample(client: Client, request_id: str) -> None:
    SAMPLE


async def main() -> None:
    async with Client(NATS) as client, asyncio.timeout(30):
        accepted = await client.say("안녕하세요.", session_id="call-1", phone_id="phone-7")
        await sample(client, accepted.request_id)


asyncio.run(main())
