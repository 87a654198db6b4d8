"""Where an agent finds its node, and which user it is there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

URL = "nats://127.0.0.1:4222"
_TRUE = ("1", "true", "yes", "on")
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
    replaces both variables.
    """
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    user = {"creds", "nkey_seed"} if options.keys() & {"creds", "nkey_seed"} else set()
    for name, variable in _ENVIRONMENT.items():
        value = environment.get(variable, "").strip()
        if name not in options and name not in user and value and value.lower() != "off":
            options[name] = value.lower() in _TRUE if name == "tls_handshake_first" else value
    return {"url": URL, **options}
