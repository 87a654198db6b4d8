"""The library prints nothing itself: its events are records of `logging`, which the program configures."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

NO_NATS = """
import asyncio, orastream
async def main():
    # It closes at once, so that tries are short.
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        await orastream.Client(f"nats://127.0.0.1:{port}", connect_timeout_s=1.0).__aenter__()
    except orastream.NodeUnavailable:
        return
    raise AssertionError
asyncio.run(main())
"""
DJANGO_LIKE = """
import logging.config
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s [%(name)s] %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {"orastream": {"handlers": ["console"], "level": "WARNING"}},
})
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)


def test_library_prints_nothing_to_stdout_while_nats_is_unreachable() -> None:
    """While NATS is not reachable. Without configuration `logging` prints only warnings, to stderr."""
    done = run(NO_NATS)
    assert done.stdout == ""
    assert "waiting for NATS" in done.stderr and "NATS client error" not in done.stderr


def test_program_gets_the_warnings_when_it_configures_logging() -> None:
    """Also if it imports the library before it configures logging."""
    for code in (DJANGO_LIKE + NO_NATS, "import orastream.client.async_client" + DJANGO_LIKE + NO_NATS):
        done = run(code)
        lines = done.stderr.splitlines()
        assert done.stdout == "" and lines
        assert all(
            line.startswith("WARNING [orastream.broker.connection] waiting for NATS error='no NATS server answers at")
            for line in lines
        )


def test_program_can_turn_the_warnings_off() -> None:
    done = run("import logging; logging.getLogger('orastream').setLevel('ERROR')\n" + NO_NATS)
    assert (done.stdout, done.stderr) == ("", "")


def test_exception_is_logged_with_its_traceback() -> None:
    done = run("""
from orastream.base import logger
log = logger.named("orastream.x")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("100 % wrong", subject="s")
""")
    assert done.stderr.startswith("100 % wrong subject='s'\nTraceback") and "ZeroDivisionError" in done.stderr


def test_service_process_logs_library_records_as_events() -> None:
    """Also those of loggers made before `configure`, with their fields, and at its level."""
    done = run("""
from orastream.base import logger
from orastream.service import logging as logs
log = logger.named("orastream.x")
logs.configure("synth", level="INFO")
log.debug("not shown")
log.info("shown", sequence=7)
""")
    (line,) = done.stderr.splitlines()
    event = json.loads(line)
    assert event.pop("timestamp") and event == {"event": "shown", "level": "info", "service": "synth", "sequence": 7}


def test_bound_fields_are_in_each_event_of_a_task_and_of_its_tasks() -> None:
    """In a service process; also in the events that a service logs with structlog. A field of the event wins."""
    done = run("""
import asyncio, structlog
from orastream.base import logger
from orastream.service import logging as logs
log = logger.named("orastream.x")
logs.configure("ws_bridge")

async def child():
    log.info("child")

async def main():
    other = asyncio.create_task(child())
    with logger.bound(session="s1", request="r1"):
        with logger.bound(request="r2"):
            await asyncio.create_task(child())
        log.info("own", session="s2")
        structlog.get_logger().info("structlog")
    await other
    log.info("after")

asyncio.run(main())
""")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(e["event"], e.get("session"), e.get("request")) for e in events] == [
        ("child", None, None),
        ("child", "s1", "r2"),
        ("own", "s2", "r1"),
        ("structlog", "s1", "r1"),
        ("after", None, None),
    ]
    assert all(e["service"] == "ws_bridge" for e in events)


def test_record_names_the_line_that_logs() -> None:
    done = run("""
import logging
from orastream.base import logger
logging.basicConfig(format="%(funcName)s:%(lineno)d %(message)s")
def speaking():
    logger.named("orastream.x").warning("late", seconds=1.5)
speaking()
""")
    assert done.stderr == "speaking:6 late seconds=1.5\n"


def test_program_without_structlog_gets_records() -> None:
    """The library of a caller installs without it."""
    done = run("import sys; sys.modules['structlog'] = sys.modules['pydantic_settings'] = None\n" + NO_NATS)
    assert "waiting for NATS" in done.stderr
