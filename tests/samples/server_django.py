"""docs/guide/llm-server.md: `BlockingClient.from_django()          # one per`"""


def sample(text: str, session: str, phone: str) -> None:
    SAMPLE
    assert report.status == "delivered", report
    tts.close()


sample("안녕하세요.", "call-2", "phone-7")
