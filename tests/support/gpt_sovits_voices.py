"""Environment variables of the engine gpt_sovits for tests: a voices file and the server URLs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.gpt_sovits_server import REFERENCE, GptSovitsServer

MINA: dict[str, Any] = {
    "languages": ["ko", "en"],
    "ref_audio_path": REFERENCE,
    "prompt_lang": "ko",
    "prompt_text": "안녕하세요.",
}


def environment_of(
    folder: Path, *servers: GptSovitsServer, stall_s: float = 8.0, **profiles: dict[str, Any]
) -> dict[str, str]:
    """Settings for synth or an engine: these servers, and profiles that each override some fields of MINA."""
    path = folder / "voices.yaml"
    named = {name: MINA | fields for name, fields in (profiles or {"mina": {}}).items()}
    path.write_text(json.dumps({"voices": named}))  # JSON is YAML
    return {
        "GPT_SOVITS_URLS": ",".join(server.url for server in servers),
        "GPT_SOVITS_VOICES": str(path),
        "SYNTH_STALL_SECONDS": f"{stall_s:g}",
    }
