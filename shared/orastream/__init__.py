"""orastream: have text spoken to phones by a streaming text-to-speech node over NATS.

    from orastream import Client, BlockingClient

Names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orastream.blocking import BlockingClient
    from orastream.client import Acceptance, Client
    from orastream.dictation import Dictation
    from orastream.errors import (
        InvalidRequest,
        NodeUnavailable,
        OrastreamError,
        Overloaded,
        SettingsError,
        UtteranceEnded,
        WaitTimeout,
    )
    from orastream.messages import Report, ReportError
    from orastream.voices import Voice

__version__ = "0.1.0"

_HOMES = {
    "Acceptance": "client",
    "BlockingClient": "blocking",
    "Client": "client",
    "Dictation": "dictation",
    "InvalidRequest": "errors",
    "NodeUnavailable": "errors",
    "OrastreamError": "errors",
    "Overloaded": "errors",
    "Report": "messages",
    "ReportError": "messages",
    "SettingsError": "errors",
    "UtteranceEnded": "errors",
    "Voice": "voices",
    "WaitTimeout": "errors",
}

__all__ = [
    "Acceptance",
    "BlockingClient",
    "Client",
    "Dictation",
    "InvalidRequest",
    "NodeUnavailable",
    "OrastreamError",
    "Overloaded",
    "Report",
    "ReportError",
    "SettingsError",
    "UtteranceEnded",
    "Voice",
    "WaitTimeout",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'orastream' has no attribute {name!r}")
    return getattr(importlib.import_module(f"orastream.{home}"), name)
