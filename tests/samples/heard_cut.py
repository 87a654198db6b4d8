"""docs/reference/heard.md: `# the records of all utterances that this cancel`"""

import asyncio

from given import NATS, Context

from orastream import Client


async def sample(client: Client, context: Context) -> None:
    SAMPLE


async def main() -> None:
    async with Client(NATS) as client, asyncio.timeout(30):
        accepted = await client.say("안녕하세요.", session_id="call-1", phone_id="phone-7")
        await sample(client, Context())


asyncio.run(main())
