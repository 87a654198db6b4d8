"""The checks and messages of `orastream say` before and after it speaks."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from orastream.cli import terminal
from orastream.cli.app import app
from orastream.cli.commands.say import pronunciations_of, why_not_written
from orastream.cli.terminal import cancel_command, report_command
from orastream.contract.errors import WaitTimeout

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("session", ["s1", "a b; rm *", "-x", "--help", "it's"])
@pytest.mark.parametrize("request_id", ["r1", "$(id)", "-y", "--", "r 1"])
def test_cancel_command_quotes_ids_for_the_shell(session: str, request_id: str) -> None:
    program, name, *arguments = shlex.split(cancel_command(session, request_id))
    group = get_command(app)
    assert isinstance(group, TyperGroup) and program == "orastream"
    params = group.commands[name].make_context(name, arguments).params
    assert (params["session"], params["request"]) == (session, request_id)
    _, name, *arguments = shlex.split(report_command(session, request_id))
    params = group.commands[name].make_context(name, arguments).params
    assert (params["session"], params["request"]) == (session, request_id)


def test_timeout_names_the_command_that_asks_again(capsys: pytest.CaptureFixture[str]) -> None:
    async def command() -> int:
        raise WaitTimeout("k2", "c8ee5c24011b", 3.0)

    with pytest.raises(typer.Exit):
        terminal.run(command())
    message = "no final report of k2/c8ee5c24011b after 3 s; ask again: orastream report k2 c8ee5c24011b"
    assert message in capsys.readouterr().err


def test_unknown_transport_is_refused_in_plain_words() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    with pytest.raises(Exception, match="^'udp' is not one of websocket, http, none$"):
        group.commands["say"].make_context("say", ["hi", "--transport", "udp"])
    assert group.commands["say"].make_context("say", ["hi", "--transport", "http"]).params["transport"] == "http"


def test_why_not_written_names_a_missing_folder_and_creates_no_file(tmp_path: Path) -> None:
    assert why_not_written(tmp_path / "new.wav") is None
    (tmp_path / "old.wav").touch()
    assert why_not_written(tmp_path / "old.wav") is None
    assert "no folder" in (why_not_written(tmp_path / "none" / "x.wav") or "")
    assert "no folder" in (why_not_written(tmp_path / "old.wav" / "x.wav") or "")
    assert list(tmp_path.iterdir()) == [tmp_path / "old.wav"]


def test_why_not_written_names_a_folder_without_permission(tmp_path: Path) -> None:
    """As root every folder is writable, so a child process with another user does the check."""
    with tempfile.TemporaryDirectory() as folder:
        hidden = Path(folder, "hidden")
        hidden.mkdir(mode=0o700)
        os.chmod(folder, 0o555)
        child = os.fork()
        if child == 0:
            try:
                if os.getuid() == 0:
                    os.setuid(65_534)
                else:
                    hidden.chmod(0)
                reasons = [why_not_written(Path(folder, "x.wav")), why_not_written(hidden / "in" / "x.wav")]
                os._exit(0 if "not writable" in str(reasons[0]) and "no folder" in str(reasons[1]) else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        hidden.chmod(0o700)
        os.chmod(folder, 0o755)


def test_words_and_readings_of_options() -> None:
    assert pronunciations_of(["SQL=시퀄", "a=b=c", "Wi-Fi=와이 파이"]) == {
        "SQL": "시퀄",
        "a": "b=c",
        "Wi-Fi": "와이 파이",
    }
    assert pronunciations_of([]) == {}
    with pytest.raises(Exception, match="'SQL' has no =; write WORD=READING, such as SQL=시퀄"):
        pronunciations_of(["SQL"])
    with pytest.raises(Exception, match="'SQL' is given twice"):
        pronunciations_of(["SQL=a", "SQL=b"])
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    arguments = ["SQL", "--pronounce", "SQL=시퀄", "--pronounce", "A=B"]
    assert group.commands["say"].make_context("say", arguments).params["pronounce"] == ["SQL=시퀄", "A=B"]
