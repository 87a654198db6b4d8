"""Settings of the gateway (docs: README, “Settings”)."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from orastream.service.settings import NodeSettings
from services.gateway.access.origin_check import ANY, host_of


class GatewaySettings(NodeSettings):
    """The gateway's own settings. `/healthz`, `/readyz` and `/metrics` are on `gateway_port` too."""

    gateway_port: int = Field(8000, ge=0, le=65535)
    """0 takes a free port, which is logged."""
    gateway_wait_seconds: float = Field(60, gt=0, allow_inf_nan=False)
    """How long a sync caller waits at most for its final report."""
    gateway_api_keys: SecretStr | None = None
    """Comma separated; callers of `/api/` must bring one of them. Absent or empty: anybody may call."""
    gateway_hosts: str | None = None
    """Comma separated; further names under which it is called, and whose pages may call it, while there are no keys."""
    default_fire_and_forget: bool = True

    @field_validator("gateway_api_keys")
    @classmethod
    def _holds_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value().strip() and not _split(value):
            raise ValueError("holds no key; separate keys by commas, or leave it empty to let anybody call")
        return value

    @field_validator("gateway_hosts")
    @classmethod
    def _holds_hosts(cls, value: str | None) -> str | None:
        for name in _names(value):
            if name != ANY and host_of(name) is None:
                raise ValueError(f"{name!r} is no host; write names without https:// and path, or * for all")
        return value

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of GATEWAY_HOSTS."""
        return _names(self.gateway_hosts)

    @property
    def api_keys(self) -> tuple[str, ...]:
        """The keys, or () when none is asked for."""
        return _split(self.gateway_api_keys) if self.gateway_api_keys else ()


def _split(keys: SecretStr) -> tuple[str, ...]:
    return _names(keys.get_secret_value())


def _names(value: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())
