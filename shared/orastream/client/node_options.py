"""The settings of the node that a program's client reads, too: where NATS is, and which user it is there. Pure.

A `Client` gets its arguments from its caller. `from_django` and the plug-ins of voice agents make them of these
settings, which the node's services read as well (`service/access_settings.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orastream.contract.errors import SettingsError
from orastream.contract.names import DEFAULT_PREFIX, Names, check_prefix

URL = "nats://127.0.0.1:4222"
SETTINGS: Mapping[str, str] = {
    "url": "NATS_URL",
    "creds": "NATS_CREDS",
    "nkey_seed": "NATS_NKEY_SEED",
    "ca": "NATS_CA",
    "cert": "NATS_CERT",
    "key": "NATS_KEY",
    "tls_handshake_first": "NATS_TLS_HANDSHAKE_FIRST",
    "prefix": "TTS_PREFIX",
    "inbox_prefix": "NATS_INBOX_PREFIX",
}
"""Parameter of `Client` → setting."""
_USER = frozenset({"creds", "nkey_seed"})
_FILES = _USER | {"ca", "cert", "key"}
"""`off` means that there is none, although a `.env`, or Django's settings, may name one."""


def node_options(setting: Callable[[str], object], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of `Client` about its connection: those `given` and not None, else those of the settings.

    `setting` returns the value of a setting by its name, or None; an empty one counts as absent. A given `creds` or
    `nkey_seed` replaces both settings. The url is always returned. Raises SettingsError that names the setting with a
    wrong value; the address itself is checked with the connection (`broker/address.py`).
    """
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    absent = _USER if options.keys() & _USER else frozenset()
    for name, variable in SETTINGS.items():
        if name not in options and name not in absent:
            value = _parsed(name, variable, setting(variable), options)
            if value is not None:
                options[name] = value
    return {"url": URL, **options}


def boolean(name: str, value: object) -> bool:
    """Return a flag as the node's services read it. Raises SettingsError."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "t", "yes", "y", "on"):
        return True
    if text in ("0", "false", "f", "no", "n", "off"):
        return False
    raise SettingsError(f"{name}: {value!r} is neither true nor false")


def _parsed(name: str, variable: str, value: object, options: Mapping[str, Any]) -> object:
    """The value of a parameter; None: absent. `options` has the prefix when the prefix of inboxes is parsed."""
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "" or (name in _FILES and str(value).lower() == "off"):
        return None
    if name == "tls_handshake_first":
        return boolean(variable, value)
    if name == "prefix":
        return _checked(variable, check_prefix, value)
    if name == "inbox_prefix":
        return _checked(variable, Names(options.get("prefix", DEFAULT_PREFIX)).check_inbox_prefix, value)
    return value if name in _FILES else str(value)


def _checked(variable: str, check: Callable[[str], str], value: object) -> str:
    try:
        return check(str(value))
    except ValueError as exc:
        raise SettingsError(f"{variable}: {exc}") from None
