"""Speaks from many green threads at once: `green.py gevent`, `green.py eventlet`. Prints what it has seen as JSON."""

from __future__ import annotations

import sys

LIBRARY = sys.argv[1]
if LIBRARY == "gevent":
    import gevent.monkey

    gevent.monkey.patch_all()
    Limit = gevent.Timeout
else:
    import eventlet

    eventlet.monkey_patch()
    Limit = eventlet.Timeout

import gc  # noqa: E402 - the modules below must be patched ones
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from orastream import BlockingClient, NodeUnavailable  # noqa: E402

COUNT = 12
MANY = 1100
"""Descriptors that a busy server has open: more than `select` of the operating system takes."""
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(MANY)]
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


def open_files() -> int:
    """How many descriptors this process has."""
    gc.collect()
    time.sleep(0.2)  # threads end, and gevent closes what it has put off
    return len(os.listdir("/proc/self/fd"))


def left_by_clients() -> int:
    """How many descriptors clients leave behind that were opened and closed."""
    before = open_files()
    for _ in range(3):
        with BlockingClient(os.environ["TEST_NATS_URL"]) as client:
            client.report("none", "none")
    return open_files() - before


def following() -> None:
    """It is ended by `close`."""
    try:
        for _ in tts.reports("nobody"):
            pass
    except NodeUnavailable as exc:
        ended.append(str(exc))


def give_up() -> None:
    """A call that its caller gives up does not stop the calls after it."""
    try:
        with Limit(0.3):
            tts.wait("nobody", "none", 20)
    except Limit:
        tts.report("none", "none")


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
give_up()
descriptors = open_files()
for _ in range(50):
    tts.report("none", "none")
leaked = open_files() - descriptors
tts.close()
follower.join()
seen = {"statuses": statuses, "longest_pause_s": longest_pause_s, "leaked": leaked, "ended": ended}
seen["left"] = left_by_clients()
print(json.dumps(seen))
