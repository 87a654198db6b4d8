"""docs/guide/llm-server.md: `async def lifespan(`"""

from given import llm

SAMPLE

from fastapi.testclient import TestClient

with TestClient(app) as caller:
    answered = caller.post("/answer", params={"session": "call-1", "phone": "phone-7", "question": "?"})
assert answered.status_code == 200, answered
