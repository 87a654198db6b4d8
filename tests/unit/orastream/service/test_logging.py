"""Logs: JSON without a terminal, colours on a terminal, a rotated file for each process, ids on each line."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

SAY = """
import sys
from pathlib import Path
import structlog
from orastream.service import logging as logs
logs.configure("synth", directory=Path(sys.argv[1]) if len(sys.argv) > 1 else None)
with structlog.contextvars.bound_contextvars(session="s 1", request="r1"):
    structlog.get_logger().info("✅ [TTS] WebSocket 백그라운드 스트리밍 시작", sequence=7)
print("said", flush=True)
sys.stdin.read()
"""


def printed_lines(*arguments: str) -> str:
    command = [sys.executable, "-c", SAY, *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stderr


def test_log_writes_one_json_object_per_event_to_a_pipe() -> None:
    (line,) = printed_lines().splitlines()
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "✅ [TTS] WebSocket 백그라운드 스트리밍 시작",
        "level": "info",
        "service": "synth",
        "session": "s 1",
        "request": "r1",
        "sequence": 7,
    }
    assert "백그라운드" in line, "the text is escaped"


def test_log_writes_colours_to_a_terminal() -> None:
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", SAY], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs, check=True
        )
        text = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "\x1b[" in text and "스트리밍 시작" in text
    assert not text.startswith("{")


def test_each_process_of_a_service_writes_its_own_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SAY, str(tmp_path)]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with first:
        assert first.stdin is not None and first.stdout is not None
        assert first.stdout.readline() == b"said\n"
        printed_lines(str(tmp_path))
        printed_lines(str(tmp_path))  # the second file is free again
        first.stdin.close()
        assert first.wait(20) == 0
    printed_lines(str(tmp_path))  # and so is the first
    lines = {path.name: path.read_text().count("스트리밍 시작") for path in tmp_path.glob("*.log")}
    assert lines == {"tts-synth.log": 2, "tts-synth-2.log": 2}


def test_log_file_is_rotated(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
import structlog
from orastream.service import logging as logs
logs.FILE_BYTES = 2000
logs.configure("gateway", directory=Path({str(tmp_path)!r}))
for number in range(300):
    structlog.get_logger().info("one line", number=number)
"""
    subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=True)
    kept = sorted(path.name for path in tmp_path.glob("tts-gateway.log*"))
    assert kept == ["tts-gateway.log", *(f"tts-gateway.log.{number}" for number in range(1, 6))]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.glob("tts-gateway.log*"))
    assert "299" in (tmp_path / "tts-gateway.log").read_text().splitlines()[-1]


def test_error_names_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "services.gateway"],
        env={**os.environ, "TTS_LOG_DIR": str(tmp_path / "file")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "TTS_LOG_DIR: cannot write" in done.stderr


HOSTILE = """
import logging, sys
from pathlib import Path
import structlog
from orastream.base import logger
from orastream.service import logging as logs
class Rude:
    def __repr__(self):
        return "<\\x1b[2J>"
logs.configure("synth", style=sys.argv[1], directory=Path(sys.argv[2]))
text = "\\x1b]0;owned\\x07 \\x9b31m \\u202e evil\\r\\nforged line \\u2028 end"
log = structlog.get_logger()
log.warning(text, value=text, rude=Rude(), listed=[text], number=7, nothing=None, sure=True)
try:
    raise ValueError(text)
except ValueError:
    log.exception("it failed", exc_info=True)
    logging.getLogger("nats").exception("foreign %s", text)
    logger.named("orastream.x").error("ours", problem=text)
"""


@pytest.mark.parametrize("style", ["console", "json"])
def test_hostile_text_neither_commands_a_terminal_nor_forges_a_line(style: str, tmp_path: Path) -> None:
    """In the event, its values, exceptions and records of other libraries; on stderr and in the file."""
    command = [sys.executable, "-c", HOSTILE, style, str(tmp_path)]
    printed = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stderr.decode()
    filed = (tmp_path / "tts-synth.log").read_text(encoding="utf-8")
    for text in (printed, filed):
        assert text.count("owned") >= 6
        for char in "\x1b\x07\x9b\u202e\r\u2028":
            assert char not in text, f"a raw {char!a}"
    if style == "json":
        first, *_ = lines = [json.loads(line) for line in printed.splitlines()]
        assert len(lines) == 4
        assert first["value"] == "\x1b]0;owned\x07 \x9b31m \u202e evil\r\nforged line \u2028 end"
        assert (first["number"], first["nothing"], first["sure"]) == (7, None, True)
        return
    for text in (printed, filed):
        first = text.splitlines()[0]
        assert "\\x1b]0;owned\\x07 \\x9b31m \\u202e evil\\r\\nforged line \\u2028 end" in first
        assert "<\\x1b[2J>" in first and "number=7" in first and "nothing=None" in first
        assert "Traceback (most recent call last):\n" in text
