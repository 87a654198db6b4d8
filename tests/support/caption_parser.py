"""Strict readers of WebVTT and SubRip files, written from the grammar. Each raises ValueError."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_WEBVTT_TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})"
_SUBRIP_TIME = _WEBVTT_TIME.replace(r"\.", ",")
_REFERENCES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_TOKEN = re.compile(rf"<{_WEBVTT_TIME}>|(&(?:amp|lt|gt);)|([^&<>]+)")


@dataclass
class ReadCue:
    """A cue of a file. `words` are the timestamps in it: (offset in `text`, ms)."""

    begin_ms: int
    end_ms: int
    text: str = ""
    words: list[tuple[int, int]] = field(default_factory=list)


def _ms(groups: tuple[str, ...]) -> int:
    hours, minutes, seconds, ms = map(int, groups)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms


def _blocks(file: str) -> list[list[str]]:
    if not file.endswith("\n") or "\0" in file or "\r" in file:
        raise ValueError("not a whole file of lines")
    blocks = file[:-1].split("\n\n")
    if any(not line for block in blocks for line in block.split("\n")):
        raise ValueError("an empty line where none can be")
    return [block.split("\n") for block in blocks]


def _timed(line: str, time: str) -> ReadCue:
    if not (match := re.fullmatch(f"{time} --> {time}", line)):
        raise ValueError(f"no times: {line!r}")
    cue = ReadCue(_ms(match.groups()[:4]), _ms(match.groups()[4:]))
    if cue.end_ms <= cue.begin_ms:
        raise ValueError(f"a cue must end after its begin: {line!r}")
    return cue


def read_webvtt(file: str) -> tuple[list[str], list[ReadCue]]:
    """Return the comments and the cues. W3C WebVTT, section 4: file structure, cue timings, cue text."""
    header, *blocks = _blocks(file)
    if header != ["WEBVTT"]:
        raise ValueError(f"no header: {header!r}")
    notes: list[str] = []
    cues: list[ReadCue] = []
    for block in blocks:
        if block[0].startswith("NOTE "):
            if "-->" in "\n".join(block):
                raise ValueError("an arrow in a comment")
            notes.append("\n".join(block)[5:])
            continue
        cue = _timed(block[0], _WEBVTT_TIME)
        (payload,) = block[1:]  # one line
        _read_payload(cue, payload)
        if cues and cue.begin_ms < cues[-1].begin_ms:
            raise ValueError("a cue begins before the one before it")
        cues.append(cue)
    return notes, cues


def _read_payload(cue: ReadCue, payload: str) -> None:
    if "-->" in payload or not payload.strip():
        raise ValueError(f"not a cue text: {payload!r}")
    at, before_ms = 0, cue.begin_ms
    while at < len(payload):
        if not (token := _TOKEN.match(payload, at)):
            raise ValueError(f"neither text, nor a reference, nor a time: {payload[at:]!r}")
        *time, reference, text = token.groups()
        if time[0] is not None:
            ms = _ms(tuple(time))
            if not before_ms < ms < cue.end_ms:
                raise ValueError(f"a time that is not within the cue, after the one before: {payload!r}")
            cue.words.append((len(cue.text), ms))
            before_ms = ms
        cue.text += _REFERENCES[reference] if reference else text or ""
        at = token.end()


def read_subrip(file: str) -> list[ReadCue]:
    """Return the cues: a number from 1, the times, one line of text."""
    cues: list[ReadCue] = []
    for number, block in enumerate(_blocks(file) if file else [], 1):
        counter, times, text = block
        if counter != str(number) or "-->" in text or not text.strip():
            raise ValueError(f"not a cue: {block!r}")
        cue = _timed(times, _SUBRIP_TIME)
        cue.text = text
        cues.append(cue)
    return cues
