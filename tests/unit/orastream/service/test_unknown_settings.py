"""Variables that look like settings: which ones are reported, and what is suggested."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.service.unknown_settings import correction, unknown_names

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("TTS_ENGIN", "did you mean TTS_ENGINE?"),
        ("tts_xyz", "correct its name, or remove it"),
        ("SYNTH_SLOT", "did you mean SYNTH_SLOTS?"),
        ("GATEWAY_API_KEY", "did you mean GATEWAY_API_KEYS?"),
        ("ENGINE_PYTHONS", "did you mean ENGINE_PYTHON?"),
        ("NATS_URI", "did you mean NATS_URL?"),
        ("POCKET_VOICE", "did you mean POCKET_VOICES?"),
        ("GPT_SOVITS_URL", "did you mean GPT_SOVITS_URLS?"),
        ("OPENAI_SPEECH_URL", "did you mean OPENAI_SPEECH_URLS?"),
        ("OPENAI_SPEECH_KEY", "did you mean OPENAI_SPEECH_API_KEY?"),
        ("DEFAULT_TRANSFER_METHODS", "did you mean DEFAULT_TRANSFER_METHOD?"),
        ("CHUNK_RAMPS", "did you mean CHUNK_RAMP?"),
        ("ORASERVER_URL", "did you mean ORASERVER_HTTP_URL or ORASERVER_WEBSOCKET_URL?"),
        ("SYNTH_STALL", "did you mean SYNTH_STALL_SECONDS?"),
        ("synth_lead", "did you mean SYNTH_LEAD_SECONDS?"),
        ("ENGINE_CANARY", "did you mean ENGINE_CANARY_SECONDS?"),
    ],
)
def test_unknown_names_finds_misspelt_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, fix: str
) -> None:
    (tmp_path / ".env").write_text(f"{name}=1\n")
    assert unknown_names() == [name] and correction(name) == fix
    (tmp_path / ".env").unlink()
    monkeypatch.setenv(name, "1")
    assert unknown_names() == [name]


def test_unknown_names_ignores_variables_of_other_services_and_programs(tmp_path: Path) -> None:
    """All services read the same `.env`; compose.yaml reads it, too, and other programs share some prefixes."""
    example = Path(__file__).resolve().parents[4] / ".env.example"
    (tmp_path / ".env").write_text(example.read_text().replace("\n#", "\n"))
    others = "NATS_USER NATS_PASSWORD NATS_CONTEXT NATS_NKEY NATS_CA NATS_CERT NATS_KEY NATS_SERVER NATS_SERVICE_HOST"
    others += " NATS_TLS NATS_PORT_4222_TCP_ADDR GATEWAY_SERVICE_PORT GATEWAY_INTERFACE SYNTH_SERVICE_HOST"
    others += " DEFAULT_LOCALE"
    with (tmp_path / ".env").open("a") as file:
        file.writelines(f"{name}=1\n" for name in others.split())
    assert unknown_names() == []
