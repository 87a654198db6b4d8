"""A Celery project whose messages are files, as the page about Celery shows its task."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

from orastream import BlockingClient

folder = Path(os.environ["TEST_FOLDER"])
app = Celery("jobs", broker="filesystem://", backend=f"file://{folder}")
app.conf.broker_transport_options = {
    "data_folder_in": str(folder),
    "data_folder_out": str(folder),
    "control_folder": str(folder),
}

tts = BlockingClient(os.environ["TEST_NATS_URL"])
if "CALL_BEFORE_FORK" in os.environ:
    tts.say("미리.", session_id="master", phone_id="p")
master = os.getpid()


@app.task  # type: ignore[untyped-decorator]
def speak(text: str, session: str) -> tuple[str, bool]:
    """Speak; return how it ended, and whether in another process than the one that has imported this module."""
    report = tts.say(text, session_id=session, phone_id="p", fire_and_forget=False, wait_s=20)
    return report.status, os.getpid() != master


if __name__ == "__main__":
    results = [speak.delay("안녕하세요.", f"celery-{n}") for n in range(3)]
    print([result.get(timeout=40) for result in results])
