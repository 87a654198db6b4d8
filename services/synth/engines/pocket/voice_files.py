"""Finds the voices in their folder: `mina.safetensors` is an exported voice, `mina.wav` a recording for one."""

from __future__ import annotations

from pathlib import Path

from services.synth.engines.base import Misconfigured

STATE, RECORDING = ".safetensors", ".wav"


def find_voices(folder: Path) -> dict[str, Path]:
    """Returns the file of each voice by name, sorted; if a name has both files, the exported voice.

    Raises Misconfigured that names the setting, the folder and the fix.
    """
    try:
        files = [path for path in folder.iterdir() if _is_voice(path) and path.is_file()]
    except OSError as exc:
        raise Misconfigured(f"POCKET_VOICES: {folder}: the folder cannot be read: {exc.strerror}") from exc
    ready_last = sorted(files, key=lambda path: (path.stem, path.suffix == STATE))
    found = {path.stem: path for path in ready_last}
    if not found:
        raise Misconfigured(
            f"POCKET_VOICES: {folder}: there is no voice in it; put NAME{RECORDING} there, a recording of 5 to 30 s, "
            f"or NAME{STATE}, made from one by `pocket-tts export-voice`"
        )
    return found


def _is_voice(path: Path) -> bool:
    return not path.name.startswith(".") and (path.suffix == STATE or path.suffix.lower() == RECORDING)
