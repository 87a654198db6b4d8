"""The samples of docs/guide/testing.md in a project that has the wheels: the plugin of pytest comes with them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.samples import samples_of, write_project
from tests.wheels.test_wheels import BIN, ROOT, made, run

__all__ = ["made"]

pytestmark = [pytest.mark.dist, pytest.mark.timeout(180)]

TESTING = ROOT / ".venv-dist-testing"
"""pytest and pytest-asyncio, which `make test-dist` installs for this interpreter."""
PAGE = ROOT / "docs" / "guide" / "testing.md"
FIRST = ("test_an_answer_is_spoken", "test_an_answer_reaches_the_phone")
"""One with FakeNode, one with orastream_node."""


def test_the_samples_of_the_page_pass_within_10_seconds_of_their_set_up(tmp_path: Path) -> None:
    write_project(tmp_path, samples_of("docs/guide/testing.md", PAGE.read_text(encoding="utf-8")))
    (tmp_path / "services").mkdir()  # a package of the project with the name of ours
    (tmp_path / "services/__init__.py").write_text("raise ImportError('the services of another project')\n")
    options = ("--junitxml=out.xml", "-o", "junit_duration_report=call")
    command = ("env", f"PYTHONPATH={TESTING}", str(BIN / "python"), "-P", "-m", "pytest", "-p", "no:cacheprovider")
    done = run(tmp_path, *command, *options, timeout_s=150)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = {case.get("name"): case for case in ElementTree.parse(tmp_path / "out.xml").iter("testcase")}
    assert len(cases) == 7, list(cases)
    assert 0 < sum(float(cases[name].get("time", "inf")) for name in FIRST) < 10
