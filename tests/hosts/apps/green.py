"""Speaks from many green threads at once: `green.py gevent`, `green.py eventlet`. Prints what it has seen as JSON."""

from __future__ import annotations

import sys

LIBRARY = sys.argv[1]
if LIBRARY == "gevent":
    import gevent.monkey

    gevent.monkey.patch_all()
else:
    import eventlet

    eventlet.monkey_patch()

import json  # noqa: E402 - the modules below must be patched ones
import os  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from orastream import BlockingClient, NodeUnavailable  # noqa: E402

COUNT = 12
tts = BlockingClient(os.environ["TEST_NATS_URL"])
statuses: list[str] = []
longest_pause_s = 0.0
speaking = True


def measure() -> None:
    """How long one green thread waits at most for its turn while others speak."""
    global longest_pause_s
    while speaking:
        began = time.monotonic()
        time.sleep(0.01)
        longest_pause_s = max(longest_pause_s, time.monotonic() - began)


def speak(number: int) -> None:
    """One utterance to its end."""
    ids = {"session_id": f"{LIBRARY}-{number}", "phone_id": "p"}
    statuses.append(tts.say("안녕하세요.", **ids, fire_and_forget=False, wait_s=20).status)
    tts.utterance(["안녕", "하세요."], **ids, fire_and_forget=True)


def following() -> None:
    """It is ended by `close`."""
    try:
        for _ in tts.reports("nobody"):
            pass
    except NodeUnavailable as exc:
        ended.append(str(exc))


ended: list[str] = []
measuring = threading.Thread(target=measure)  # a green thread
follower = threading.Thread(target=following)
threads = [threading.Thread(target=speak, args=(number,)) for number in range(COUNT)]
for thread in (measuring, follower, *threads):
    thread.start()
for thread in threads:
    thread.join()
speaking = False
measuring.join()
tts.report("none", "none")
time.sleep(0.1)  # the other thread closes its end of the last pipe
descriptors = len(os.listdir("/proc/self/fd"))
for _ in range(50):
    tts.report("none", "none")
time.sleep(0.1)
leaked = len(os.listdir("/proc/self/fd")) - descriptors
tts.close()
follower.join()
seen = {"statuses": statuses, "longest_pause_s": longest_pause_s, "leaked": leaked, "ended": ended}
print(json.dumps(seen))
