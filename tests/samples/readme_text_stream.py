"""README.md: `# optional: the node speaks without it`"""

import asyncio
from collections.abc import AsyncIterator

from given import tokens

from orastream import Client


async def sample(llm_tokens: AsyncIterator[str]) -> None:
    SAMPLE
    assert report.status == "delivered", report


asyncio.run(sample(tokens()))
