"""What the commands read from the environment and `.env`, and how they find the node."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from orastream.cli.node.upfile import UpFile
from orastream.contract import subjects
from orastream.service.settings import InboxPrefix, load

DATA_DIR = Path(".orastream")


class CliSettings(BaseSettings):
    """The settings that the commands share with the services."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, case_sensitive=False, env_ignore_empty=True
    )

    nats_url: str | None = None
    nats_creds: Path | None = None
    nats_inbox_prefix: InboxPrefix = subjects.INBOX
    oraserver_websocket_url: str = "ws://127.0.0.1:8080/ws/tts"
    oraserver_http_url: str = "http://127.0.0.1:8080/api/tts"
    oraserver_token: str | None = Field(None, repr=False)
    websocket_chunk_size: int = 32_768
    default_fire_and_forget: bool = True
    tts_max_text_chars: int = 5_000


def environment() -> dict[str, str]:
    """The variables of this process, and those of `.env` that it has not; as services read them."""
    return {name: value for name, value in dotenv_values(".env").items() if value} | dict(os.environ)


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """The node that a command talks to, and the OraServer that this node delivers to, as far as can be told."""

    nats_url: str
    nats_creds: Path | None
    websocket_url: str
    http_url: str
    settings: CliSettings


def find_node(nats: str | None, data_dir: Path = DATA_DIR) -> NodeAddress:
    """The node of `--nats`, of NATS_URL, of `orastream up` in this directory, or of the default address; in this order.

    Raises SettingsError.
    """
    return choose_node(nats, load(CliSettings), UpFile.read(data_dir))


def choose_node(nats: str | None, settings: CliSettings, up: UpFile | None) -> NodeAddress:
    """The rule of `find_node`, without any reading."""
    fallback = up.nats_url if up else "nats://127.0.0.1:4222"
    url = nats or settings.nats_url or fallback
    websocket_url, http_url = settings.oraserver_websocket_url, settings.oraserver_http_url
    if up is not None and up.nats_url == url:
        # Whatever this environment says: where `up` was started, another one may have held.
        websocket_url, http_url = up.websocket_url, up.http_url
    return NodeAddress(url, settings.nats_creds, websocket_url, http_url, settings)
