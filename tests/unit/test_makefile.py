"""`make help` is aligned; `make test` runs pytest three times and ends with a line for each result."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.unit, pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")]

MAKEFILE = Path(__file__).parents[2] / "Makefile"


def a_pytest(folder: Path, *lines: str, code: int) -> None:
    """Write a fake interpreter, which prints these lines and exits with this code."""
    folder.mkdir(parents=True)
    python = folder / "python"
    python.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines) + f"exit {code}\n")
    python.chmod(0o700)


def test_help_aligns_the_descriptions() -> None:
    done = subprocess.run(["make", "-s", "-f", MAKEFILE, "help"], capture_output=True, text=True, timeout=30)
    rows = [re.fullmatch(r"(  make [a-z-]+ {2,})\S.*", line) for line in done.stdout.splitlines()]
    assert rows and None not in rows, done.stdout
    assert len({len(row[1]) for row in rows if row}) == 1, done.stdout


def test_make_auth_names_the_folder_in_env_once_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "orastream"
    command.write_text('#!/bin/sh\nmkdir -p "$2/server" && echo "tls {" >"$2/server/tls.conf"\n')
    command.chmod(0o700)
    (tmp_path / ".env").write_text("TTS_ENGINE=espeak")  # without a line break at its end
    for _ in range(2):
        subprocess.run(
            ["make", "-s", "-f", MAKEFILE, "auth", "RUNS=", f"BIN={tmp_path}/bin"],
            cwd=tmp_path,
            capture_output=True,
            check=True,
            timeout=30,
        )
    assert (tmp_path / ".env").read_text().splitlines() == [
        "TTS_ENGINE=espeak",
        "NATS_AUTH_DIR=./auth",
        "NATS_NODE_URL=tls://nats:4222",
    ]


def test_what_is_installed_is_not_installed_again_each_time() -> None:
    """A rule that does not write its target runs at each `make`, which for an environment takes minutes."""
    rules = re.findall(r"^(\$\(\w+\)[\w/.]*):[^=\n]*\n((?:[\t@].*\n)+)", MAKEFILE.read_text(), re.MULTILINE)
    assert {"$(DEVELOPS)", "$(TORCH)", "$(INTEGRATIONS)", "$(SAMPLE)/.made"} <= dict(rules).keys()
    assert [target for target, recipe in rules if "touch $@" not in recipe] == []


@pytest.mark.parametrize("codes", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 2), (2, 3, 1)])
def test_make_test_prints_all_results_and_fails_when_one_fails(tmp_path: Path, codes: tuple[int, int, int]) -> None:
    unit, torch, node = codes
    a_pytest(tmp_path / "unit", "unit tests", "== 9 passed in 2s ==", code=unit)
    a_pytest(tmp_path / "node", "tests of the node", "== 7 passed in 5s ==", code=node)
    a_pytest(tmp_path / "torch/bin", "tests of torch", "== 3 passed in 1s ==", code=torch)
    a_pytest(tmp_path / "main", code=0)
    chosen = f'case "$*" in *tests/unit*) exec {tmp_path}/unit/python;; *) exec {tmp_path}/node/python;; esac'
    (tmp_path / "main/python").write_text(f"#!/bin/sh\n{chosen}\n")
    given = ("DEVELOPS=", "TORCH=", "VENV=.venv", f"BIN={tmp_path}/main", f"VENV_TORCH={tmp_path}/torch")
    done = subprocess.run(
        ["make", "-s", "-f", MAKEFILE, "test", *given], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    lines = done.stdout.splitlines()
    assert lines.index("unit tests") < lines.index("tests of torch") < lines.index("tests of the node")
    assert [line.split(":", 1)[1].strip() for line in lines[-3:]] == [
        "== 9 passed in 2s ==",
        "== 3 passed in 1s ==",
        "== 7 passed in 5s ==",
    ]
    assert (done.returncode == 0) == (codes == (0, 0, 0)), done.stderr
