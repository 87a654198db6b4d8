"""README.md: `# Fire and forget: returns when`"""

import asyncio

from given import Context, somebody_asks


async def sample(context: Context) -> None:
    SAMPLE
    assert accepted.request_seq > 0


async def main() -> None:
    async with somebody_asks("call-1"), asyncio.timeout(30):
        await sample(Context())


asyncio.run(main())
