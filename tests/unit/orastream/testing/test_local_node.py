"""A node for tests that is not started: its settings, and what its calls say."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.contract.errors import NodeUnavailable, SettingsError
from orastream.testing import LocalNode

pytestmark = pytest.mark.unit


def test_a_mistyped_setting_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="orastream_settings: the node has no TTS_ENGIN; did you mean TTS_ENGINE"):
        LocalNode(tmp_path, {"TTS_ENGIN": "espeak"})


@pytest.mark.parametrize("name", ["NATS_URL", "oraserver_http_url", "NATS_CREDS", "ORASERVER_CA", "GATEWAY_PORT"])
def test_a_setting_that_the_node_makes_itself_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=f"orastream_settings: {name.upper()} has no effect"):
        LocalNode(tmp_path, {name: "x"})


def test_settings_are_text_in_upper_case_and_those_of_others_are_passed_on(tmp_path: Path) -> None:
    node = LocalNode(tmp_path, {"heard_records": True, "OTEL_TRACES_SAMPLER_ARG": 0.5, "TTS_PREFIX": "staging"})
    assert node.settings == {"HEARD_RECORDS": "true", "OTEL_TRACES_SAMPLER_ARG": "0.5", "TTS_PREFIX": "staging"}
    assert node.names.prefix == "staging"


def test_calls_before_the_start_say_how_to_start_it(tmp_path: Path) -> None:
    node = LocalNode(tmp_path)
    for call in (lambda: node.nats_url, node.client, node.received, node.reset, lambda: node.kill("synth")):
        with pytest.raises(NodeUnavailable, match="with LocalNode"):
            call()
    node.close()
