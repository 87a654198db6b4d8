"""docs/guide/python-hosts.md: `async def speak(`"""

import asyncio
import json
from collections.abc import AsyncIterator

import django.conf

django.conf.settings.configure(ALLOWED_HOSTS=["*"], DEFAULT_CHARSET="utf-8")


async def llm(question: str) -> AsyncIterator[str]:
    """An LLM that greets."""
    yield "안녕"
    yield "하세요."


SAMPLE

from django.test import AsyncRequestFactory

asked = {"question": "?", "session": "call-1", "phone": "phone-7"}
request = AsyncRequestFactory().post("/speak", json.dumps(asked), content_type="application/json")
answered = asyncio.run(speak(request))
assert json.loads(answered.content)["requestId"], answered.content
