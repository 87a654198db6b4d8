"""A node of images: the sample of docs/guide/testing.md, a killed service, and errors that say what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orastream.contract.errors import SettingsError
from orastream.testing import OrastreamContainer
from tests.support.docker import docker, require_docker

__all__ = ["require_docker"]

pytestmark = [pytest.mark.integration, pytest.mark.docker, pytest.mark.timeout(300)]

PAGE = Path(__file__).resolve().parents[4] / "docs" / "guide" / "testing.md"
BUILD = "docker compose --profile demo build"


@pytest.fixture
def images(require_docker: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The images of compose.yaml are there; testcontainers uses this machine's engine, without its reaper's image."""
    try:
        docker("image", "inspect", "orastream-synth:latest")
    except AssertionError:
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail(f"REQUIRE_DOCKER=1, and there are no images: {BUILD}", pytrace=False)
        pytest.skip(f"there are no images: {BUILD}")
    from testcontainers.core.config import ConnectionMode, testcontainers_config

    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    monkeypatch.setattr(testcontainers_config, "tc_host_override", "127.0.0.1")
    monkeypatch.setattr(testcontainers_config, "connection_mode_override", ConnectionMode.docker_host)
    yield


def test_the_sample_of_the_page(images: None) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    (sample,) = [code for code in blocks if "OrastreamContainer(" in code]
    checks = (
        "    assert node.violations() == [] and 'ready' in node.logs('synth')\n"
        "    node.kill('ws_bridge')\n"
        "    with node.blocking_client() as tts:\n"
        "        report = tts.say('Hi.', session_id='call-2', phone_id='p', transport='http', fire_and_forget=False)\n"
        "    assert report.status == 'delivered' and len(node.received('call-2')) == 1\n"
    )
    exec(compile(sample + checks, str(PAGE), "exec"), {})


def test_errors_name_the_fix() -> None:
    with pytest.raises(SettingsError, match=r"\{service\}"):
        OrastreamContainer(image="orastream")
    with pytest.raises(SettingsError, match="use `with OrastreamContainer"):
        OrastreamContainer().kill("synth")
