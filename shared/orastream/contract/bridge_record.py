"""What a bridge says in its heartbeat: which protocol its OraServer speaks, and which formats it takes. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

OraServerProtocol = Literal["v1", "v2", "unknown"]


@dataclass(frozen=True, slots=True)
class BridgeRecord:
    """The contents of a heartbeat. The defaults are those of a bridge that says nothing: http_bridge, or an older one.

    `formats` are those that OraServer has listed over protocol v2, None if it has listed none.
    """

    protocol: OraServerProtocol = "v1"
    formats: frozenset[str] | None = None

    @property
    def announces_cancels(self) -> bool:
        """Whether the bridge has OraServer drop cancelled utterances that are delivered and not played."""
        return self.protocol != "v1"

    def encode(self) -> bytes:
        """Encode the record, as JSON."""
        fields: dict[str, object] = {} if self.protocol == "v1" else {"protocol": self.protocol}
        return json.dumps(fields if self.formats is None else fields | {"formats": sorted(self.formats)}).encode()

    @classmethod
    def decode(cls, data: bytes) -> BridgeRecord:
        """Read a record. What it does not say, or says in another way, has its default."""
        try:
            fields = json.loads(data)
            protocol, formats = fields.get("protocol"), fields.get("formats")
        except (ValueError, AttributeError, RecursionError):
            return cls()
        known = isinstance(formats, list) and all(isinstance(name, str) for name in formats)
        return cls(protocol if protocol in ("v2", "unknown") else "v1", frozenset(formats) if known else None)
