"""Settings of the gateway (docs/reference/settings.md)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from orastream.service.access_settings import off_is_absent
from orastream.service.origin_check import hosts_in
from orastream.service.settings import NodeSettings

Limit = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(off_is_absent)]
"""At least 1; None (`off`) is no limit."""


class GatewaySettings(NodeSettings):
    """The gateway's settings. `/healthz`, `/readyz` and `/metrics` are also served on `gateway_port`."""

    gateway_port: int = Field(8000, ge=0, le=65535)
    """0 takes a free port and logs it."""
    gateway_wait_seconds: float = Field(60, gt=0, allow_inf_nan=False)
    """Seconds that a sync caller waits at most for the final report."""
    gateway_api_keys: SecretStr | None = None
    """Comma separated, each a key or `name=key` (`access/key_names.py`). Callers of `/api/` and `/v1/` must send one.

    Absent or empty: no key is needed.
    """
    gateway_hosts: str | None = None
    """Comma separated. Hosts whose pages may read the answers; without keys, also hosts by which it may be called."""
    gateway_requests_per_minute: Limit = None
    """Requests of one caller in a minute. A caller is a name of GATEWAY_API_KEYS; without keys, a peer's address."""
    gateway_characters_per_minute: Limit = None
    """Characters that one caller may have spoken in a minute."""
    gateway_concurrent: Limit = None
    """Requests of one caller that are in progress at the same time."""
    gateway_legacy: bool = False
    """Whether `/api/convert-tts/` takes what callers of the Django TTS server send, and answers 200 where it did."""
    gateway_connections_per_address: Limit = 2048
    """Connections from one address; never more than half of what the process can have, except with None (`off`)."""
    default_fire_and_forget: bool = True

    @field_validator("gateway_api_keys")
    @classmethod
    def _holds_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value().strip() and not _split(value):
            raise ValueError("holds no key; separate keys by commas, or leave it empty to require no key")
        return value

    @field_validator("gateway_hosts")
    @classmethod
    def _holds_hosts(cls, value: str | None) -> str | None:
        hosts_in(value)
        return value

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of GATEWAY_HOSTS."""
        return hosts_in(self.gateway_hosts)

    @property
    def api_keys(self) -> tuple[str, ...]:
        """The entries of GATEWAY_API_KEYS; () when no key is needed."""
        return _split(self.gateway_api_keys) if self.gateway_api_keys else ()


def _split(keys: SecretStr) -> tuple[str, ...]:
    return tuple(key.strip() for key in keys.get_secret_value().split(",") if key.strip())
