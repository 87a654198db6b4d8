"""`orastream mapping` prints a block of nats-server's configuration, or says what is wrong."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from orastream.cli.app import app
from orastream.contract.front_door import mapping_conf
from orastream.contract.names import Names

pytestmark = pytest.mark.unit


def test_the_mapping_is_that_of_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_PREFIX", "staging")
    assert CliRunner().invoke(app, ["mapping", "--nodes", "3"]).stdout == mapping_conf(Names("staging"), 3)
    assert CliRunner().invoke(app, ["mapping", "--nodes", "3", "--prefix", "tts"]).stdout == mapping_conf(Names(), 3)


@pytest.mark.parametrize("options", [["1"], ["2", "--prefix", "tts.0"], ["2", "--prefix", "T"]])
def test_what_is_no_front_door_is_an_error(options: list[str]) -> None:
    result = CliRunner().invoke(app, ["mapping", "--nodes", *options])
    assert result.exit_code == 1 and "--nodes or --prefix: " in result.output
