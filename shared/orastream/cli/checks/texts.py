"""Korean and English texts for demonstrations and measurements, from a greeting to 40 seconds of speech."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SampleText:
    """A text, a short name for tables and files, and its language."""

    name: str
    language: str
    text: str


TEN_SECONDS = SampleText(
    "en-ten-seconds",
    "en-US",
    "Thank you for calling. I have found your booking for two nights in Busan, from Friday the ninth. "
    "Shall I move it by one day, or would you like to hear what else is free that week?",
)
"""About ten seconds of speech."""

TEXTS = (
    SampleText("ko-greeting", "ko-KR", "안녕하세요, 무엇을 도와드릴까요?"),
    SampleText("en-greeting", "en-US", "Hello, how can I help you today?"),
    SampleText(
        "ko-order",
        "ko-KR",
        "주문하신 상품은 3월 15일 오후 2시 30분에 도착할 예정입니다. 배송비 3,000원은 이미 결제되었습니다. "
        "받는 분이 안 계시면 경비실에 맡겨 드릴까요?",
    ),
    TEN_SECONDS,
    SampleText(
        "ko-weather",
        "ko-KR",
        "오늘 서울은 맑고 바람이 조금 붑니다. 낮 기온은 21.5도까지 오르겠고, 밤에는 9도까지 내려가겠습니다. "
        "내일은 전국에 비가 오니 우산을 꼭 챙기세요.",
    ),
    SampleText(
        "en-long",
        "en-US",
        "Before we begin, a few words on how this works. You speak, and I listen until you pause. Then I think for "
        "a moment, and while I am still thinking the first sentence is already on its way to your phone. You need "
        "not wait for me to finish: interrupt me whenever you like, and I will stop at once and hear what you have "
        "to say. If the line breaks, stay where you are; the call comes back by itself and goes on where it was, "
        "with nothing lost and nothing said twice. And if I say something that is not clear, please ask me to "
        "repeat it, more slowly or in other words, as often as you need. Are you ready? Then tell me your name, and "
        "what you are calling about.",
    ),
)
"""Six texts; the last has more than 500 characters."""
