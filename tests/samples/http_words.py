"""docs/reference/http.md: `stream_format="sse"`"""

import json

import openai

spoken: list[object] = []
client = openai.OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="any")
SAMPLE
