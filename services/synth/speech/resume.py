"""Where an attempt at a request goes on after earlier ones. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract.word_time import WordTime
from services.synth.engine_pool.engine_info import EngineInfo


@dataclass(frozen=True, slots=True)
class Resume:
    """Where earlier attempts stopped; the defaults mean a first attempt."""

    next_index: int = 0
    """Index of the next chunk: the number of chunks stored without a gap."""
    stored_bytes: int = 0
    """Bytes of the file in the stored chunks, header included."""
    sentence: int = 0
    """`sentence` of the last stored chunk, where an engine that is not deterministic starts again."""
    begun: int = -1
    """The last sentence known to begin in the stored chunks, -1 if none. An attempt that continues exactly does not
    report it again."""
    last_word: WordTime | None = None
    """The last word known to end in the stored chunks, None if none. As `begun`."""
    last_pts_ms: int = 0
    """`pts_ms` of the last stored chunk."""
    tail: bytes = b""
    """The last two bytes of the stored file (one, if its last chunk has only one)."""
    same_engine: bool = True
    """Whether this engine, in this version, made all stored chunks: else it cannot make the same bytes again."""


FIRST_ATTEMPT = Resume()


def continues_exactly(info: EngineInfo, resume: Resume) -> bool:
    """Returns whether the engine continues at the sample where the stored audio ends. Else it repeats a sentence."""
    return info.deterministic and resume.same_engine
