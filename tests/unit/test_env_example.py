"""`.env.example` documents every setting, with the default that the services really have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from orastream.cli.node.settings import CliSettings
from orastream.service.settings import KNOWN
from services.gateway.settings import GatewaySettings
from services.http_bridge.settings import HttpBridgeSettings
from services.oraserver.settings import OraServerSettings
from services.synth.engines.gpt_sovits.settings import GptSovitsSettings
from services.synth.engines.gpt_sovits_local.settings import GptSovitsLocalSettings
from services.synth.engines.openai_speech.settings import OpenAiSpeechSettings
from services.synth.engines.pocket.settings import PocketSettings
from services.synth.engines.vits.settings import VitsSettings
from services.synth.settings import SynthSettings
from services.ws_bridge.settings import WsBridgeSettings

pytestmark = pytest.mark.unit

COMPOSE_ALONE = {
    *{
        "NATS_PORT",
        "NATS_AUTH_DIR",
        "NATS_NODE_URL",
        "NATS_NODE_PASSWORD",
        "NATS_CALLER_PASSWORD",
        "SYNTH_EXTRAS",
        "SYNTH_MODELS",
        "SYNTH_LEXICON_DIR",
    },
    *{"SYNTH_CPU_QUOTA", "STOP_GRACE_PERIOD", "REVISION", "NATS_IMAGE", "PYTHON_IMAGE"},
    *{"PROMETHEUS_PORT", "GRAFANA_PORT", "GRAFANA_PASSWORD", "JAEGER_PORT", "OTLP_PORT"},
}
_OTLP = ("ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "CERTIFICATE")
OPENTELEMETRY = {
    *(f"OTEL_EXPORTER_OTLP_{kind}{what}" for kind in ("", "TRACES_") for what in _OTLP),
    *{"OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_RESOURCE_ATTRIBUTES"},
    *{"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE"},
    *{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_SDK_DISABLED"},
}
READERS: list[type[BaseModel]] = [
    SynthSettings,
    GptSovitsSettings,
    GptSovitsLocalSettings,
    OpenAiSpeechSettings,
    PocketSettings,
    VitsSettings,
    WsBridgeSettings,
    HttpBridgeSettings,
    GatewaySettings,
    OraServerSettings,
]
OF_THE_CLI = {"NATS_MONITORING_URL"}
"""Settings that no service reads."""
EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
LINES = re.findall(r"^#([A-Z_]+)=(\S*)(?: +#.*)?$", EXAMPLE.read_text(), re.MULTILINE)


def test_every_setting_is_documented_once() -> None:
    assert sorted(name for name, _ in LINES) == sorted(KNOWN | COMPOSE_ALONE | OPENTELEMETRY)


@pytest.mark.parametrize(("name", "value"), LINES, ids=[name for name, _ in LINES])
def test_documented_default_is_that_of_the_services(name: str, value: str) -> None:
    readers = [CliSettings] if name in OF_THE_CLI else READERS
    fields = [field for reader in readers if (field := reader.model_fields.get(name.lower())) is not None]
    if name in COMPOSE_ALONE | OPENTELEMETRY or name == "TTS_HEALTH_PORT":
        return
    assert fields, f"no service reads {name}"
    for field in fields:
        default = field.default
        if not value:
            assert default is None or field.default_factory is not None or default == type(default)()
        elif isinstance(default, bool):
            assert default is (value in {"on", "true"})
        else:
            assert str(default) == value


def test_compose_passes_the_opentelemetry_variables_only_when_they_are_set() -> None:
    """Without a value of ours, which the SDK would take for the user's; and no name that all services would share."""
    services = yaml.safe_load((EXAMPLE.parent / "compose.yaml").read_text())["services"]
    for name in ("synth", "ws_bridge", "http_bridge", "gateway"):
        passed = {key: value for key, value in services[name]["environment"].items() if key.startswith("OTEL_")}
        assert passed == dict.fromkeys(OPENTELEMETRY)


def test_settings_page_has_every_setting_and_its_default() -> None:
    page = (EXAMPLE.parent / "docs" / "reference" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", page, re.MULTILINE))
    defaults = {name: value for name, value in LINES if name not in COMPOSE_ALONE | OPENTELEMETRY}
    assert set(rows) == set(defaults)
    for name, value in defaults.items():
        assert not value or rows[name] == f"`{value}`", name
