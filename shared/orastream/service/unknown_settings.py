"""Finds variables that look like settings of the node and are none, and the setting that is probably meant."""

from __future__ import annotations

import difflib
import os

from dotenv import dotenv_values

from orastream.service.settings import KNOWN

OWN_PREFIXES = ("TTS_", "WEBSOCKET_", "ORASERVER_", "GPT_SOVITS_", "OPENAI_SPEECH_", "POCKET_")
"""No other program has variables with these prefixes, so each one that is no setting is a mistake."""
SHARED_PREFIXES = (
    "BRIDGE_",
    "SYNTH_",
    "GATEWAY_",
    "ENGINE_",
    "NATS_",
    "DEFAULT_",
    "DELIVERY_",
    "CHUNK_",
    "DRAIN_",
    "HEARD_",
)
"""Other programs have such variables, too. One that is no setting is a mistake if it resembles a setting."""
_OF_OTHERS = frozenset(
    """NATS_PORT NATS_AUTH_DIR NATS_NODE_URL NATS_NODE_PASSWORD NATS_CALLER_PASSWORD NATS_IMAGE SYNTH_EXTRAS
    SYNTH_MODELS SYNTH_LEXICON_DIR SYNTH_CPU_QUOTA NATS_USER NATS_NKEY STOP_GRACE_PERIOD""".split()
)
"""Variables that only compose.yaml reads, and those of NATS' command line that resemble a setting."""
MAX_MEANT = 2


def unknown_names() -> list[str]:
    """Variables that no service reads and that are most likely typing errors. All services share one `.env`."""
    names = set(os.environ) | set(dotenv_values(".env"))
    return sorted(name for name in names if is_mistake(name.upper()))


def is_mistake(name: str) -> bool:
    """Whether a variable, in upper case, looks like a setting of the node and is none."""
    if name in KNOWN or name in _OF_OTHERS:
        return False
    if name.startswith(OWN_PREFIXES):
        return True
    return name.startswith(SHARED_PREFIXES) and (_nearest(name) is not None or _is_cut_short(name))


def _is_cut_short(name: str) -> bool:
    """Whether it is the beginning of a setting's name, as in SYNTH_STALL.

    Other programs may well have such a short name with NATS or DEFAULT.
    """
    if name.startswith(("NATS_", "DEFAULT_")):
        return False
    return any(known.startswith(f"{name}_") for known in KNOWN)


def correction(name: str) -> str:
    """What to do about a variable that is not a setting."""
    whole = _with_the_words_of(name.upper())
    near = " or ".join(whole) if whole else _nearest(name.upper())
    return f"did you mean {near}?" if near else "correct its name, or remove it"


def _with_the_words_of(name: str) -> list[str]:
    """Up to MAX_MEANT settings that have all words of the name in their order, as in ORASERVER_URL; [] if more have."""
    found = []
    for known in sorted(KNOWN):
        words = iter(known.split("_"))
        if all(word in words for word in name.split("_")):
            found.append(known)
    return found if len(found) <= MAX_MEANT else []


def _nearest(name: str) -> str | None:
    return next(iter(difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.8)), None)
