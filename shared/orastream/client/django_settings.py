"""The options of a client in a Django project: from Django's settings, else from the environment."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import math
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from orastream.broker import dialer
from orastream.client.connection_options import access_of
from orastream.contract import subjects
from orastream.contract.codec import Map
from orastream.contract.errors import SettingsError
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS
from orastream.contract.names import DEFAULT_PREFIX, Names, check_prefix

TABLE = "ORASTREAM"
"""The setting of Django that may hold all others: a dict with the names below as keys."""
NAMES = (
    *("NATS_URL", "NATS_CREDS", "NATS_NKEY_SEED", "NATS_CA", "NATS_CERT", "NATS_KEY", "NATS_TLS_HANDSHAKE_FIRST"),
    *("NATS_INBOX_PREFIX", "TTS_PREFIX", "DEFAULT_TRANSFER_METHOD", "DEFAULT_FIRE_AND_FORGET", "TTS_MAX_TEXT_CHARS"),
    "TTS_MAX_BACKLOG_SECONDS",
)
MOVED = ("ORASERVER_WEBSOCKET_URL", "WEBSOCKET_CHUNK_SIZE", "WEBSOCKET_MAX_RETRIES")
"""Settings that callers set for the Django TTS server and that now belong to the node."""


class _Values:
    """The values by name. An empty one counts as absent, as in the node's services."""

    def __init__(self, django: object, environment: Mapping[str, str]) -> None:
        self._django, self._environment = django, environment
        self._table = _checked_table(getattr(django, TABLE, None) or {})

    def get(self, name: str, default: object) -> Any:
        """The value in ORASTREAM, else of the setting `name` of Django, else of the environment, else `default`."""
        for found in (self._table.get(name), getattr(self._django, name, None), self._environment.get(name)):
            if found is not None and found != "":
                return found
        return default


def client_options() -> Map:
    """The arguments of a `Client` in this process.

    Warns about settings that have moved to the node. Raises SettingsError that names the invalid setting. Credentials
    are not read: the file may be written later.
    """
    try:
        django: object = importlib.import_module("django.conf").settings
    except ImportError:
        django = object()
    values = _Values(django, os.environ)
    for name in MOVED:
        if values.get(name, None) is not None:
            warnings.warn(f"{name} has no effect here any more: set it for the node's services", stacklevel=3)
    method = str(values.get("DEFAULT_TRANSFER_METHOD", "websocket"))
    if method not in ("websocket", "http"):
        raise SettingsError(f"DEFAULT_TRANSFER_METHOD: {method!r} is neither 'websocket' nor 'http'")
    url = str(values.get("NATS_URL", "nats://127.0.0.1:4222"))
    names = ("NATS_CREDS", "NATS_NKEY_SEED", "NATS_CA", "NATS_CERT", "NATS_KEY")
    creds, seed, ca, cert, key = (values.get(name, None) for name in names)
    first = _boolean("NATS_TLS_HANDSHAKE_FIRST", values.get("NATS_TLS_HANDSHAKE_FIRST", False))
    access = access_of(creds, seed, ca, cert, key, first)
    dialer.check_settings(url, access)
    prefix = _checked("TTS_PREFIX", check_prefix, values.get("TTS_PREFIX", DEFAULT_PREFIX))
    inbox = values.get("NATS_INBOX_PREFIX", subjects.INBOX)
    return {
        "url": url,
        "prefix": prefix,
        **dataclasses.asdict(access),
        "inbox_prefix": _checked("NATS_INBOX_PREFIX", Names(prefix).check_inbox_prefix, inbox),
        "fire_and_forget": _boolean("DEFAULT_FIRE_AND_FORGET", values.get("DEFAULT_FIRE_AND_FORGET", True)),
        "transport": method,
        "max_text_chars": _count("TTS_MAX_TEXT_CHARS", values.get("TTS_MAX_TEXT_CHARS", DEFAULT_MAX_TEXT_CHARS)),
        "max_backlog_s": _seconds("TTS_MAX_BACKLOG_SECONDS", values.get("TTS_MAX_BACKLOG_SECONDS", None)),
    }


def _checked_table(table: object) -> Mapping[str, object]:
    if not isinstance(table, Mapping):
        raise SettingsError(f"{TABLE}: must be a dict of settings, such as {{'NATS_URL': 'nats://…'}}")
    for name in table:
        if name not in NAMES and name not in MOVED:
            near = difflib.get_close_matches(str(name), NAMES, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"its keys are {', '.join(NAMES)}"
            raise SettingsError(f"{TABLE}: {name!r} is no setting of a client; {meant}")
    return table


def _checked(name: str, check: Callable[[str], str], value: object) -> str:
    try:
        return check(str(value))
    except ValueError as exc:
        raise SettingsError(f"{name}: {exc}") from None


def _count(name: str, value: object) -> int:
    try:
        count = int(str(value))
    except ValueError:
        count = 0
    if count < 1:
        raise SettingsError(f"{name}: {value!r} is not a number above 0")
    return count


def _seconds(name: str, value: object) -> float | None:
    if value is None or str(value).lower() == "off":
        return None
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise SettingsError(f"{name}: {value!r} is neither a number of seconds, 0 or more, nor off")
    return seconds


def _boolean(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise SettingsError(f"{name}: {value!r} is neither true nor false")
