"""The settings of the commands, from the environment and `.env`, and the address of the node."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from dotenv import dotenv_values
from pydantic import Field

from orastream.broker import Access
from orastream.cli.node.upfile import UpFile
from orastream.contract import subjects
from orastream.contract.errors import SettingsError
from orastream.contract.names import DEFAULT_PREFIX, Names
from orastream.delivery.rules.negotiation import ProtocolSetting
from orastream.service.access_settings import NatsAccessSettings, OraServerTlsSettings
from orastream.service.settings import InboxPrefix, Prefix, load, url_of

Address = tuple[str | None, str | None]
"""`--nats` and `--prefix`."""
DATA_DIR = Path(".orastream")


class CliSettings(NatsAccessSettings, OraServerTlsSettings):
    """The settings that the commands share with the services."""

    nats_url: str | None = None
    nats_monitoring_url: Annotated[str, url_of("http://", "https://")] | None = None
    tts_prefix: Prefix = DEFAULT_PREFIX
    nats_inbox_prefix: InboxPrefix = subjects.INBOX
    oraserver_websocket_url: str = "ws://127.0.0.1:8080/ws/tts"
    oraserver_http_url: str = "http://127.0.0.1:8080/api/tts"
    oraserver_token: str | None = Field(None, repr=False)
    oraserver_protocol: ProtocolSetting = "auto"
    websocket_chunk_size: int = 32_768
    default_fire_and_forget: bool = True
    tts_max_text_chars: int = 5_000


def environment() -> dict[str, str]:
    """The variables of this process, and those of `.env` that this process does not have, as services read them.

    A variable of this process that is empty counts as absent.
    """
    file = {name: value for name, value in dotenv_values(".env").items() if value}
    return file | {name: value for name, value in os.environ.items() if value or name not in file}


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """The node that a command uses, and the OraServer to which this node delivers, as far as that is known."""

    nats_url: str
    access: Access | None
    """Credentials and files for TLS with NATS."""
    websocket_url: str
    http_url: str
    settings: CliSettings
    websocket_source: str = ""
    """Where `websocket_url` comes from, in words."""
    http_source: str = ""
    nats_monitoring_url: str | None = None
    """The monitoring port of one of its NATS servers, if it is known."""
    prefix: str = DEFAULT_PREFIX
    """Its TTS_PREFIX, or the name of a front door."""


def find_node(nats: str | None, prefix: str | None = None, data_dir: Path = DATA_DIR) -> NodeAddress:
    """The node of `--nats`, NATS_URL, `orastream up` in this directory, or the default address, in this order.

    `prefix` is that of `--prefix`; None: TTS_PREFIX. Raises SettingsError.
    """
    settings = load(CliSettings)
    try:
        names = Names(settings.tts_prefix if prefix is None else prefix)
        names.check_inbox_prefix(settings.nats_inbox_prefix)
    except ValueError as exc:
        raise SettingsError(f"--prefix: {exc}") from None
    return replace(choose_node(nats, settings, UpFile.read(data_dir)), prefix=names.prefix)


def choose_node(nats: str | None, settings: CliSettings, up: UpFile | None) -> NodeAddress:
    """Like `find_node`, but with settings and up.json passed in. Pure."""
    fallback = up.nats_url if up else "nats://127.0.0.1:4222"
    url = nats or settings.nats_url or fallback
    if up is not None and up.nats_url == url:
        # `up` may have been started in another environment: its OraServer counts, not the one of this environment.
        source = "from this directory's `orastream up`"
        return NodeAddress(
            url,
            Access(creds=settings.nats_creds),  # its server has neither TLS nor users
            up.websocket_url,
            up.http_url,
            settings,
            websocket_source=source,
            http_source=source,
            nats_monitoring_url=up.nats_monitoring_url or settings.nats_monitoring_url,
        )
    return NodeAddress(
        url,
        settings.nats_access,
        settings.oraserver_websocket_url,
        settings.oraserver_http_url,
        settings,
        websocket_source=_source(settings, "oraserver_websocket_url"),
        http_source=_source(settings, "oraserver_http_url"),
        nats_monitoring_url=settings.nats_monitoring_url,
    )


def _source(settings: CliSettings, name: str) -> str:
    if name in settings.model_fields_set:
        return f"from {name.upper()}"
    return f"the default; set {name.upper()} to that of the node"
