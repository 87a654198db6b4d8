"""`python -m tests.picture FILE.png`: the console as README shows it, of a real node at work.

Callers ask for speech as LLM servers do; one is interrupted, one asks for a voice that there is not; then the console
itself speaks, and the picture is taken while its utterance is played.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Page

from orastream.client.async_client import Client
from tests.support.browser import ABSENT, chromium, running_browser
from tests.support.scenes import running_node
from tests.support.services import Stack

SIZE = {"width": 1280, "height": 950}
RTF = 0.35
SAID = [
    ("call-2041", "네, 고객님. 주문하신 상품은 오늘 오전에 출고되었습니다.", {}),
    ("call-2042", "Your appointment is on Thursday at half past nine.", {}),
    ("call-2041", "내일 오후에 받아 보실 수 있습니다.", {}),
    ("ivr-7", "The office is closed today.", {"transport": "http"}),
    ("call-2043", "Good morning, how can I help you?", {"voice": "nobody"}),
]
LONG = (
    "다음 안내를 끝까지 들어 주세요. 배송지를 바꾸시려면 일 번, 반품을 원하시면 이 번을 눌러 주세요. "
    "상담원과 통화하시려면 잠시만 기다려 주세요. 지금은 기다리는 분이 많습니다. "
)
HEARD = "안녕하세요. 오늘 서울은 맑고 바람이 조금 붑니다. 낮 기온은 십오 도까지 오르겠습니다. 좋은 하루 보내세요."


async def calls(client: Client) -> None:
    """What happened before: delivered, failed, cancelled, over both transports."""
    for session, text, options in SAID:
        language = "ko-KR" if "가" <= text[0] <= "힣" else "en-US"
        await client.say(text, session_id=session, phone_id="p-1", fire_and_forget=False, language=language, **options)
    accepted = await client.say(LONG, session_id="call-2042", phone_id="p-2", fire_and_forget=True)
    async for report in client.reports("call-2042"):
        if report.status == "delivering" and report.delivered_chunks:
            break
    await client.cancel("call-2042", accepted.request_id)
    await client.wait("call-2042", accepted.request_id)


async def picture(page: Page, stack: Stack, file: Path) -> None:
    """Do all that, and take it."""
    async with Client(stack.nats_server.url) as client:
        await page.goto(f"{stack.only('gateway').url}/console")
        await page.wait_for_selector('#link[data-state="live"]')
        await calls(client)
        for text in (LONG * 2, "감사합니다."):
            await client.say(text, session_id="call-2044", phone_id="p-4", fire_and_forget=True)
        await page.fill("#session", "console")
        await page.fill("#text", HEARD)
        await page.check("input[name=mode][value=forget]")
        await page.click("#submit")
        await page.wait_for_selector('#list tbody tr:first-child td[data-status="delivered"]')
        await page.wait_for_function("() => document.querySelector('#fall svg .bar.hearing')?.getBBox().width > 200")
        await page.evaluate("document.activeElement.blur()")
        file.parent.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=file)


async def browse(stack: Stack, arguments: argparse.Namespace) -> None:
    """Open the page in the browser."""
    async with running_browser() as browser:
        page = await browser.new_page(viewport=SIZE, locale=arguments.locale, color_scheme=arguments.scheme)
        await picture(page, stack, arguments.file)


def main() -> int:
    """Make the file; exit code 2 where no browser is."""
    parser = argparse.ArgumentParser(prog="python -m tests.picture", description="A picture of the console.")
    parser.add_argument("file", type=Path, help="where to write the PNG")
    parser.add_argument("--locale", default="en-US", help="en-US or ko-KR")
    parser.add_argument("--scheme", default="light", choices=["light", "dark"])
    arguments = parser.parse_args()
    if chromium() is None:
        print(ABSENT, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        with running_node(
            Path(folder), {}, replicas=1, gateway=True, TTS_ENGINE_RTF=RTF, SYNTH_SLOTS=2, TTS_PHRASE_CACHE="off"
        ) as stack:
            asyncio.run(browse(stack, arguments))
    print(f"{arguments.file}: {arguments.file.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
