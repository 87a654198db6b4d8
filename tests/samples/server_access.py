"""docs/guide/llm-server.md: `nkey_seed=os.environ["NATS_NKEY_SEED"]`"""

import asyncio
import os

from orastream import Client


async def sample() -> None:
    SAMPLE


asyncio.run(sample())
