"""The samples of docs/guide/testing.md pass in a fresh project on two workers of pytest-xdist, two of them in 10 s."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.samples import samples_of, write_project

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs" / "guide" / "testing.md"
OPTIONS = (
    "-W error -p no:cacheprovider -p no:schemathesis --junitxml=out.xml --rootdir=. --strict-markers "
    "-o junit_duration_report=call -o asyncio_default_fixture_loop_scope=function"
)
FAILING = """
def test_that_fails(orastream_node):
    orastream_node.kill("ws_bridge", restart=False)
    assert orastream_node.pids("ws_bridge") == ["no pid"]


def test_after_it(orastream_node):
    assert len(orastream_node.pids("ws_bridge")) == 1 and orastream_node.received() == []
"""


def run_pytest(folder: Path, *options: str) -> tuple[int, str, list[ElementTree.Element]]:
    """Run the tests of a folder as a user does; returns the exit code, the output and the test cases."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env |= {"PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}", "TTS_VOICE": "nobody", "TTS_ENGINE": "none"}
    command = [sys.executable, "-m", "pytest", *OPTIONS.split(), *options]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=200)
    assert (folder / "out.xml").exists(), done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr, list(ElementTree.parse(folder / "out.xml").iter("testcase"))


def test_the_samples_of_the_page_pass(tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    written = write_project(tmp_path, samples_of("docs/guide/testing.md", PAGE.read_text(encoding="utf-8")))
    assert written == {
        "answers.py", "conftest.py", "test_with_fake_node.py", "test_with_real_node.py", "with_containers.py"
    }  # fmt: skip
    (tmp_path / ".env").write_text("TTS_ENGINE=none\n")  # a node for tests reads neither this nor the environment
    (tmp_path / "test_two.py").write_text(FAILING)
    code, output, cases = run_pytest(tmp_path, "-n", "2", "--dist", "loadfile")
    failed = [case.get("name") for case in cases if case.find("failure") is not None]
    assert (code, failed) == (1, ["test_that_fails"]), output
    assert len(cases) == 9 and "log of ws_bridge" in output and "log of synth" in output, output
    first = ("test_an_answer_is_spoken", "test_an_answer_reaches_the_phone")  # one with FakeNode, one with a node
    took_s = sum(float(case.get("time", "inf")) for case in cases if case.get("name") in first)
    assert 0 < took_s < 10, output
    record_property("figure", f"a test with FakeNode and one with orastream_node, without set-up: {took_s:.2f} s")


def test_a_missing_part_is_named_with_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(orastream_node): pass\n")
    (tmp_path / "conftest.py").write_text(
        "import importlib.util as u\nfound = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'services' else found(name, *rest)\n"
    )
    code, output, _ = run_pytest(tmp_path)
    assert code == 1
    assert "pip install 'orastream[testing]' 'orastream-services[local]'" in output
    assert "Traceback" not in output, output
