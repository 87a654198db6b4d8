"""The options of a client in a Django project: from Django's settings, else from the environment."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import math
import os
import warnings
from collections.abc import Mapping
from typing import Any

from orastream.broker import dialer
from orastream.client.connection_options import access_of
from orastream.client.node_options import SETTINGS, boolean, node_options
from orastream.contract.codec import Map
from orastream.contract.errors import SettingsError
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS

TABLE = "ORASTREAM"
"""The setting of Django that may hold all others: a dict with the names below as keys."""
NAMES = (
    *SETTINGS.values(),
    *("DEFAULT_TRANSFER_METHOD", "DEFAULT_FIRE_AND_FORGET", "TTS_MAX_TEXT_CHARS", "TTS_MAX_BACKLOG_SECONDS"),
)
MOVED = ("ORASERVER_WEBSOCKET_URL", "WEBSOCKET_CHUNK_SIZE", "WEBSOCKET_MAX_RETRIES")
"""Settings that callers set for the Django TTS server and that now belong to the node."""


class _Values:
    """The values by name. An empty one counts as absent, as in the node's services."""

    def __init__(self, django: object, environment: Mapping[str, str]) -> None:
        self._django, self._environment = django, environment
        self._table = _checked_table(getattr(django, TABLE, None) or {})

    def get(self, name: str, default: object = None) -> Any:
        """The value in ORASTREAM, else of the setting `name` of Django, else of the environment, else `default`."""
        for found in (self._table.get(name), getattr(self._django, name, None), self._environment.get(name)):
            if found is not None and found != "":
                return found
        return default


def client_options() -> Map:
    """The arguments of a `Client` in this process.

    Warns about settings that have moved to the node. Raises SettingsError that names the invalid setting, also for a
    seed or a file for TLS that cannot be used. A credentials file is not read: it may be written later.
    """
    try:
        django: object = importlib.import_module("django.conf").settings
    except ImportError:
        django = object()
    values = _Values(django, os.environ)
    for name in MOVED:
        if values.get(name) is not None:
            warnings.warn(f"{name} has no effect here any more: set it for the node's services", stacklevel=3)
    method = str(values.get("DEFAULT_TRANSFER_METHOD", "websocket"))
    if method not in ("websocket", "http"):
        raise SettingsError(f"DEFAULT_TRANSFER_METHOD: {method!r} is neither 'websocket' nor 'http'")
    options = node_options(values.get, {})
    get, first = options.get, options.get("tls_handshake_first", False)
    access = access_of(get("creds"), get("nkey_seed"), get("ca"), get("cert"), get("key"), first)
    dialer.check_settings(options["url"], access)
    return {
        **options,
        **dataclasses.asdict(access),
        "fire_and_forget": boolean("DEFAULT_FIRE_AND_FORGET", values.get("DEFAULT_FIRE_AND_FORGET", True)),
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
