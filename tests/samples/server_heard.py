"""docs/guide/llm-server.md: `# the record of one request, for an hour; None`"""

import asyncio

from given import NATS, Context

from orastream import Acceptance, Client


async def sample(client: Client, context: Context, accepted: Acceptance) -> None:
    SAMPLE


async def main() -> None:
    async with Client(NATS) as client, asyncio.timeout(30):
        accepted = await client.say("안녕하세요.", session_id="call-1", phone_id="phone-7", fire_and_forget=True)
        await sample(client, Context(), accepted)


asyncio.run(main())
