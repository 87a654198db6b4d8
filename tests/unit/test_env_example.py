"""`.env.example` documents every setting, with the default that the services really have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from orastream.settings import KNOWN
from services.gateway.settings import GatewaySettings
from services.http_bridge.settings import HttpBridgeSettings
from services.oraserver.settings import OraServerSettings
from services.synth.settings import SynthSettings
from services.ws_bridge.settings import WsBridgeSettings

pytestmark = pytest.mark.unit

COMPOSE_ALONE = {"NATS_PORT", "SYNTH_EXTRAS"}
READERS: list[type[BaseModel]] = [
    SynthSettings,
    WsBridgeSettings,
    HttpBridgeSettings,
    GatewaySettings,
    OraServerSettings,
]
EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
LINES = re.findall(r"^#([A-Z_]+)=(\S*)(?: +#.*)?$", EXAMPLE.read_text(), re.MULTILINE)


def test_every_setting_is_documented_once() -> None:
    assert sorted(name for name, _ in LINES) == sorted(KNOWN | COMPOSE_ALONE)


@pytest.mark.parametrize(("name", "value"), LINES, ids=[name for name, _ in LINES])
def test_the_default_is_true(name: str, value: str) -> None:
    fields = [field for reader in READERS if (field := reader.model_fields.get(name.lower())) is not None]
    if name in COMPOSE_ALONE or name == "TTS_HEALTH_PORT":
        return
    assert fields, "no service reads it"
    for field in fields:
        default = field.default
        if not value:
            assert default is None or field.default_factory is not None or default == type(default)()
        elif isinstance(default, bool):
            assert default is (value in {"on", "true"})
        else:
            assert str(default) == value
