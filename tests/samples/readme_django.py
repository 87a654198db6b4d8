"""README.md: `# one per process, in any module; connects`"""

from collections.abc import Iterable

from given import TOKENS


def sample(text: str, session: str, phone: str, llm_tokens: Iterable[str]) -> None:
    SAMPLE
    assert report.status == "delivered" and report.first_audio_ms is not None, report
    tts.close()


sample("안녕하세요.", "call-2", "phone-7", TOKENS)
