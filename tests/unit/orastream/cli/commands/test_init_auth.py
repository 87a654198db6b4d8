"""`orastream init-auth`: what it prints, and how it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from orastream.cli.app import app
from orastream.cli.auth.env_files import seed_in

pytestmark = pytest.mark.unit


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["init-auth", *map(str, words)])
    return done.exit_code, done.output


def test_it_prints_what_it_wrote_and_the_next_commands_and_no_secret(tmp_path: Path) -> None:
    code, output = run(tmp_path / "auth", "--caller", "shop", "--tls", "--host", "10.0.0.5")
    assert code == 0, output
    for word in ("accounts.conf", "shop.env", "certificates", "NATS_AUTH_DIR=", "NATS_NODE_URL=tls://nats:4222"):
        assert word in output
    # nats-server connects the imports of a new account only at the second reload.
    assert "kill -s HUP nats && sleep 2 && docker compose kill -s HUP nats" in output
    assert "up -d --wait synth && docker compose up -d --wait" in output
    for path in (tmp_path / "auth").glob("*.env"):
        seed = seed_in(path.read_text())
        assert seed is not None and seed not in output


def test_a_second_run_says_that_nothing_has_changed_and_which_files_are_elsewhere(tmp_path: Path) -> None:
    assert run(tmp_path, "--caller", "shop")[0] == 0
    assert "nothing has changed" in run(tmp_path)[1]
    (tmp_path / "shop.env").unlink()
    assert "shop.env is not here; whoever has it keeps its key" in run(tmp_path)[1]
    assert "give shop.env to those who are that role" in run(tmp_path, "--rotate", "shop")[1]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--sessions", "a"], "--sessions: belongs to exactly one --caller"),
        (["--caller", "no good"], "--caller: 'no good' is no name of an account"),
        (["--rotate", "nobody"], "--rotate: there is no role nobody"),
        (["--host", "tls://x"], "--host:"),
    ],
)
def test_wrong_options_end_with_one_line(tmp_path: Path, words: list[str], problem: str) -> None:
    code, output = run(tmp_path, *words)
    assert code == 1 and problem in output and "Traceback" not in output
