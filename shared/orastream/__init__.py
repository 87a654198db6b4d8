"""orastream: client library of a streaming text-to-speech node that speaks to phones over NATS.

    from orastream import Client, BlockingClient

Each name is imported at its first use, so that `import orastream` alone loads no dependency.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from orastream.base.version import VERSION

if TYPE_CHECKING:
    from orastream.client.acceptance import Acceptance
    from orastream.client.async_client import Client
    from orastream.client.blocking import BlockingClient
    from orastream.client.cancelling import HeardUnreadable
    from orastream.client.text_stream import TextStream
    from orastream.client.voices import Voice
    from orastream.contract.delivery_progress import DeliveryProgress
    from orastream.contract.errors import (
        InvalidRequest,
        NodeUnavailable,
        OrastreamError,
        Overloaded,
        SettingsError,
        UtteranceEnded,
        WaitTimeout,
    )
    from orastream.contract.heard import Heard
    from orastream.contract.messages import Report, ReportError

__version__ = VERSION

_HOMES = {
    "Acceptance": "client.acceptance",
    "BlockingClient": "client.blocking",
    "Client": "client.async_client",
    "DeliveryProgress": "contract.delivery_progress",
    "Heard": "contract.heard",
    "HeardUnreadable": "client.cancelling",
    "InvalidRequest": "contract.errors",
    "NodeUnavailable": "contract.errors",
    "OrastreamError": "contract.errors",
    "Overloaded": "contract.errors",
    "Report": "contract.messages",
    "ReportError": "contract.messages",
    "SettingsError": "contract.errors",
    "TextStream": "client.text_stream",
    "UtteranceEnded": "contract.errors",
    "Voice": "client.voices",
    "WaitTimeout": "contract.errors",
}

__all__ = [
    "Acceptance",
    "BlockingClient",
    "Client",
    "TextStream",
    "DeliveryProgress",
    "Heard",
    "HeardUnreadable",
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
