"""The events of eSpeak's C API (espeak-ng/speak_lib.h, 1.52), as its callback gets them with a piece of audio."""

from __future__ import annotations

import ctypes
from typing import TypeAlias

from services.synth.engines.espeak_words import EspeakEvent

_LIST_ENDS, _WORD, _CLAUSE_ENDS = 0, 1, 5
"""Values of `espeak_EVENT_TYPE`."""


class EventStruct(ctypes.Structure):
    """espeak_EVENT. `text_position` counts characters from 1, over the whole text; `sample` from the begin of it."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),  # a union
    )


Events: TypeAlias = "ctypes._Pointer[EventStruct]"
"""A list of events; the last one has the type 0."""


def about_text(events: Events) -> list[EspeakEvent]:
    """Returns the words and ends of clauses of a list of events."""
    found: list[EspeakEvent] = []
    number = 0
    while (kind := events[number].type) != _LIST_ENDS:
        if kind == _WORD:
            event = events[number]
            found.append(EspeakEvent("word", event.text_position - 1, event.length, event.sample))
        elif kind == _CLAUSE_ENDS:
            event = events[number]
            found.append(EspeakEvent("end", event.text_position, 0, event.sample))
        number += 1
    return found
