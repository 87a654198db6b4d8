"""Where an agent finds its node, and which user it is there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orastream.contract.errors import SettingsError

URL = "nats://127.0.0.1:4222"
_FLAG = "tls_handshake_first"
_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False}
_ENVIRONMENT = {
    "url": "NATS_URL",
    "creds": "NATS_CREDS",
    "nkey_seed": "NATS_NKEY_SEED",
    "ca": "NATS_CA",
    "cert": "NATS_CERT",
    "key": "NATS_KEY",
    "tls_handshake_first": "NATS_TLS_HANDSHAKE_FIRST",
    "inbox_prefix": "NATS_INBOX_PREFIX",
    "prefix": "TTS_PREFIX",
}


def connection_options(given: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of `Client`: those that are `given` and not None, else by the node's own variables. Pure.

    `off` and an empty variable count as absent, as in the settings of the node. A given `creds` or `nkey_seed`
    replaces both variables. Raises SettingsError for a flag that is neither true nor false.
    """
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    user = {"creds", "nkey_seed"} if options.keys() & {"creds", "nkey_seed"} else set()
    for name, variable in _ENVIRONMENT.items():
        value = environment.get(variable, "").strip()
        if name not in options and name not in user and value and value.lower() != "off":
            options[name] = _flag(variable, value) if name == _FLAG else value
    return {"url": URL, **options}


def _flag(variable: str, value: str) -> bool:
    flag = _FLAGS.get(value.lower())
    if flag is None:
        raise SettingsError(f"{variable}: {value!r} is neither true nor false")
    return flag
