"""Log files of supervised processes, the first line of a NATS server, exit codes, and the rule of file length."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.cli.node import logfile
from orastream.cli.node.child import describe_exit
from orastream.cli.node.logfile import LogFile
from orastream.cli.node.probes import judge_greeting
from tests.house.file_length import MAX_LINES, too_long

pytestmark = pytest.mark.unit


def write(log: LogFile, text: bytes) -> None:
    with log.path.open("ab") as file:
        file.write(text)


def test_last_lines_belong_to_the_current_process(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "synth.log")
    assert log.last_lines(3) == []
    with log.opened() as file:
        file.write(b"of the first\n")
    with log.opened() as file:
        file.write("1\n2\n셋\nhalf a li".encode())
    assert log.last_lines(2) == ["2", "셋"]


def test_new_lines_returns_each_complete_line_once(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "synth.log")
    with log.opened():
        write(log, b"a\nb")
        assert log.new_lines() == ["a"]
        assert log.new_lines() == []
        write(log, b"c\nd\n")
        assert log.new_lines() == ["bc", "d"]
        write(log, b"e\n")
        log.skip()
        assert log.new_lines() == []


def test_log_is_rotated_at_the_next_start_when_it_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "ROTATE_BYTES", 10)
    log = LogFile(tmp_path / "synth.log")
    with log.opened():
        write(log, b"a long line of the past\n")
    with log.opened():
        write(log, b"new\n")
    assert log.last_lines(9) == ["new"]
    assert log.new_lines() == ["new"]
    assert (tmp_path / "synth.log.1").read_text() == "a long line of the past\n"


@pytest.mark.parametrize(
    ("code", "says"), [(0, "exit code 0"), (2, "exit code 2"), (-9, "SIGKILL"), (-99, "signal 99")]
)
def test_describe_exit_says_the_exit_code_in_words(code: int, says: str) -> None:
    assert describe_exit(code) == says


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        (b'INFO {"jetstream":true}\r\n', None),
        (b'INFO {"jetstream":false}\r\n', "JetStream"),
        (b"INFO {}\r\n", "JetStream"),
        (b"INFO x\r\n", "not a NATS server"),
        (b"SSH-2.0-x\r\n", "not a NATS server"),
        (b"", "not a NATS server"),
    ],
)
def test_judge_greeting_accepts_only_a_nats_server(line: bytes, lacks: str | None) -> None:
    found = judge_greeting(line)
    assert (found is None) == (lacks is None)
    assert (lacks or "") in (found or "")


def test_too_long_accepts_a_long_file_that_gives_a_reason() -> None:
    code = "x = 1\n"
    assert not too_long(code * MAX_LINES)
    assert too_long(code * (MAX_LINES + 1))
    assert not too_long("# length: one table of codes\n" + code * MAX_LINES)
    assert too_long("# length:\n" + code * MAX_LINES)
