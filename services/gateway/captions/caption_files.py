"""Captions as files: WebVTT (W3C, https://www.w3.org/TR/webvtt1/) and SubRip (`.srt`, which has no standard). Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.gateway.captions.captions import Captions, Cue

ESTIMATED_NOTE = (
    "The times of some words are not known. The times within such a sentence are in proportion to its characters."
)
"""What a file of captions with `estimated` times says."""


def webvtt(captions: Captions, notes: Sequence[str] = ()) -> str:
    """Return the WebVTT file. Known times of words are in the cues, as `<00:00:01.200>` before the word.

    Each of `notes` becomes a comment; it is one line without `-->`. If times are estimated, a comment says so.
    """
    notes = [*notes, ESTIMATED_NOTE] if captions.estimated else notes
    blocks = ["WEBVTT", *(f"NOTE {note}" for note in notes)]
    blocks += [f"{_times(cue, '.')}\n{_webvtt_text(cue)}" for cue in captions.cues]
    return "\n\n".join(blocks) + "\n"


def subrip(captions: Captions, notes: Sequence[str] = ()) -> str:
    """Return the SubRip file: numbered cues, and nothing else, since the format has no comments for `notes`.

    It has no escapes either: `-->` is written as `-- >`, and a player may take `<b>` in the text for markup.
    """
    del notes
    blocks = [
        f"{number}\n{_times(cue, ',')}\n{cue.text.replace('-->', '-- >')}\n"
        for number, cue in enumerate(captions.cues, 1)
    ]
    return "\n".join(blocks)


CAPTION_FILES: dict[str, tuple[str, Callable[[Captions, Sequence[str]], str]]] = {
    "vtt": ("text/vtt; charset=utf-8", webvtt),
    "srt": ("application/x-subrip; charset=utf-8", subrip),
}
"""Media type and writer of each kind of file, by the usual ending of its name."""


def _times(cue: Cue, point: str) -> str:
    return f"{_time(cue.begin_ms, point)} --> {_time(cue.end_ms, point)}"


def _time(ms: int, point: str) -> str:
    """Hours have two digits or more."""
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"


def _webvtt_text(cue: Cue) -> str:
    parts: list[str] = []
    at = 0
    for offset, ms in cue.words:
        parts += [_escaped(cue.text[at:offset]), f"<{_time(ms, '.')}>"]
        at = offset
    return "".join([*parts, _escaped(cue.text[at:])])


def _escaped(text: str) -> str:
    """A later parser of the text cannot see `-->` in it, because `>` is escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
