"""`python -m services.synth.lexicon`: prints how a text is read. `orastream reading` passes it JSON by stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from orastream.contract.errors import InvalidRequest, SettingsError
from orastream.contract.messages import SpeakRequest, parse_request
from services.synth.engines import base, phonemes
from services.synth.lexicon.document import requested
from services.synth.lexicon.file import LexiconFileError, read_lexicon
from services.synth.reading.lexicon import NO_WORDS, Lexicon
from services.synth.settings import SynthSettings
from services.synth.text.script import lines_of
from services.synth.text.text_rules import rules_of


def main() -> int:
    """Returns the exit code: 0, or 1 if the lexicon or the text is wrong."""
    asked = json.loads(sys.stdin.read())
    try:
        settings = SynthSettings.load()
        engine = _engine(asked["engine"], settings)
        lexicon = _lexicon(asked["lexicon"] or settings.tts_lexicon, engine)
        request = _request(asked, settings)
        lexicon = lexicon.with_request(requested(request.pronunciations or {}, engine))
        lines = lines_of(request.text, request.language, 1.0, ssml=request.ssml, rules=rules_of(settings, lexicon))
    except (LexiconFileError, InvalidRequest, SettingsError) as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - the output of a command
        return 1
    for line in lines:
        print(phonemes.in_brackets(line.spoken) if phonemes.has_phonemes(line.spoken) else line.spoken)  # noqa: T201
    return 0


def _engine(name: str | None, settings: SynthSettings) -> str:
    """Raises SettingsError for a name that no engine has, as far as can be known without ENGINE_PYTHON."""
    if name is not None and settings.engine_python is None and name not in base.installed():
        raise SettingsError(f"--engine: {name!r} is not installed; there is: {', '.join(base.installed())}")
    return name or settings.tts_engine


def _lexicon(path: str | Path | None, engine: str) -> Lexicon:
    return NO_WORDS if path is None else read_lexicon(Path(path).expanduser(), engine, {*base.installed(), engine})


def _request(asked: dict[str, Any], settings: SynthSettings) -> SpeakRequest:
    fields = {name: asked[name] for name in ("text", "language", "ssml", "pronunciations")}
    return parse_request(fields | {"sessionId": "-", "phoneId": "-"}, max_text_chars=settings.tts_max_text_chars)


if __name__ == "__main__":
    sys.exit(main())
