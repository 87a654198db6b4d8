"""Settings from the environment and `.env`. Each `__main__` reads and validates them once, before any connection.

Each service extends `NodeSettings` with its own settings (`services/<name>/settings.py`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings
from pydantic_settings import SettingsError as UnparsableSetting

from orastream.base.drain import MIN_DRAIN_S, Drain
from orastream.broker import shown
from orastream.contract import caller, subjects
from orastream.contract.errors import SettingsError
from orastream.contract.names import DEFAULT_PREFIX, Names, check_prefix
from orastream.jetstream.stream_limits import AUDIO_MAX_BYTES, HEARD_MAX_BYTES, STREAM_MAX_BYTES, StreamLimits
from orastream.service.access_settings import NatsAccessSettings, OraServerTlsSettings, off_is_absent
from orastream.service.setting_problems import describe

# Every setting of the contract, so that a service can distinguish a typing error from a setting of another service.
KNOWN: frozenset[str] = frozenset(
    """NATS_URL NATS_CREDS NATS_NKEY_SEED NATS_CA NATS_CERT NATS_KEY NATS_TLS_HANDSHAKE_FIRST NATS_INBOX_PREFIX
    NATS_MONITORING_URL TTS_PREFIX
    ORASERVER_WEBSOCKET_URL ORASERVER_HTTP_URL ORASERVER_TOKEN ORASERVER_CA ORASERVER_CERT ORASERVER_KEY
    ORASERVER_PROTOCOL ORASERVER_CONNECTIONS ORASERVER_NODE DELIVERY_LEAD_SECONDS
    BRIDGE_MAX_SESSIONS
    WEBSOCKET_CHUNK_SIZE WEBSOCKET_MAX_RETRIES WEBSOCKET_IDLE_SECONDS WEBSOCKET_CONNECTION WEBSOCKET_METADATA
    WEBSOCKET_END_FRAMES DEFAULT_TRANSFER_METHOD DEFAULT_FIRE_AND_FORGET DELIVERY_FALLBACK
    DELIVERY_FORMAT
    TTS_ENGINE TTS_VOICE TTS_MAX_TEXT_CHARS TTS_TEXT_NORMALIZATION TTS_SKIP_TAGS TTS_ENGINE_RTF
    TTS_PHRASE_CACHE TTS_LEXICON TTS_EDGE_SILENCE_MS TTS_LOUDNESS_LUFS
    TTS_PHRASE_CACHE_MAX_BYTES TTS_PHRASE_CACHE_SECONDS TTS_MAX_SENTENCE_AUDIO_SECONDS TTS_MAX_UTTERANCE_AUDIO_SECONDS
    SYNTH_SLOTS SYNTH_OPEN_TEXTS SYNTH_STALL_SECONDS
    SYNTH_LEAD_SECONDS SYNTH_SUSPENDED ENGINE_PYTHON ENGINE_MAX_MEMORY_MB ENGINE_CANARY_SECONDS TTS_STREAM_REPLICAS
    TTS_AUDIO_MAX_BYTES TTS_SESSIONS_MAX_BYTES TTS_REPORTS_MAX_BYTES TTS_HEARD_MAX_BYTES TTS_TEXTS_MAX_BYTES
    TTS_AUDIO_RETENTION_SECONDS HEARD_RECORDS
    TTS_MAX_PENDING_PER_SESSION TTS_MAX_BACKLOG_SECONDS CHUNK_RAMP TTS_CALLERS TTS_MAX_PENDING_PER_CALLER
    DRAIN_SECONDS
    GATEWAY_PORT GATEWAY_WAIT_SECONDS GATEWAY_API_KEYS GATEWAY_HOSTS GATEWAY_REQUESTS_PER_MINUTE
    GATEWAY_CHARACTERS_PER_MINUTE GATEWAY_CONCURRENT GATEWAY_CONNECTIONS_PER_ADDRESS GATEWAY_LEGACY
    TTS_HEALTH_PORT TTS_HOST TTS_LOG_DIR TTS_LOG_FORMAT TTS_LOG_LEVEL
    GPT_SOVITS_URLS GPT_SOVITS_VOICES GPT_SOVITS_MODELS POCKET_CONFIG POCKET_VOICES POCKET_LANGUAGE
    OPENAI_SPEECH_URLS OPENAI_SPEECH_API_KEY OPENAI_SPEECH_CA OPENAI_SPEECH_VOICES OPENAI_SPEECH_MODEL
    OPENAI_SPEECH_VOICE OPENAI_SPEECH_LANGUAGE OPENAI_SPEECH_FORMAT OPENAI_SPEECH_SAMPLE_RATE OPENAI_SPEECH_EXTRA_BODY
    OPENAI_SPEECH_AT_ONCE OPENAI_SPEECH_HEALTH_PATH OPENAI_SPEECH_CONNECT_SECONDS OPENAI_SPEECH_FIRST_AUDIO_SECONDS
    OPENAI_SPEECH_STALL_SECONDS
    TTS_MODEL_DIR TTS_DEVICE TTS_THREADS TTS_AT_ONCE TTS_BATCH TTS_BATCH_WAIT_MS
    ORASERVER_PORT ORASERVER_DATA_DIR ORASERVER_HOSTS ORASERVER_MISBEHAVE ORASERVER_REFERENCE_PROTOCOL ORASERVER_CREDIT
    ORASERVER_STREAMS ORASERVER_FORMATS ORASERVER_KEEP_SECONDS ORASERVER_CRC ORASERVER_PLAYED ORASERVER_FSYNC""".split()
)
Prefix = Annotated[str, AfterValidator(check_prefix)]


def _check_inbox_prefix(value: str, info: ValidationInfo) -> str:
    prefix = info.data.get("tts_prefix")  # absent if it is invalid itself
    return value if prefix is None else Names(prefix).check_inbox_prefix(value)


InboxPrefix = Annotated[str, AfterValidator(_check_inbox_prefix)]
"""For a field below `tts_prefix`."""
S = TypeVar("S", bound=BaseSettings)


def _check_header_value(token: SecretStr) -> SecretStr:
    value = token.get_secret_value()
    if not (value.isascii() and value.isprintable() and value == value.strip()):
        raise ValueError("must be printable ASCII, without a space or a line break at its ends (value not shown)")
    return token


HeaderSecret = Annotated[SecretStr, AfterValidator(_check_header_value)]
"""A secret that is sent as the value of an HTTP header. It is never shown, not even in an error."""


def url_of(*schemes: str) -> AfterValidator:
    """Return a validator for a URL with one of `schemes` and a host. Its error shows no password."""
    example = f"as in {schemes[0]}host.example:8080/path"

    def check(url: str) -> str:
        if not url.startswith(schemes):
            raise ValueError(f"{shown(url)!r} must begin with {' or '.join(schemes)}")
        try:
            parts = urlsplit(url)
            port = parts.port
            (parts.hostname or "").encode(
                "idna"
            )  # as the resolver does: else each attempt to connect would fail with it
        except ValueError:  # of `port`, of a bracket that is not closed, and UnicodeError for an empty or long label
            raise ValueError(f"{shown(url)!r} has no valid port or host; write it {example}") from None
        if any(sign.isspace() for sign in url):
            raise ValueError(f"{shown(url)!r} has a space in it; write %20 in a path, and the host {example}")
        if not parts.hostname or port == 0:
            raise ValueError(f"{shown(url)!r} names no host, or port 0; write it {example}")
        return url

    return AfterValidator(check)


def _check_replicas(value: int) -> int:
    if value not in (1, 3, 5):
        raise ValueError(f"{value} is not 1, 3 or 5; set 1, or 3 or 5 on a NATS cluster of at least as many servers")
    return value


def accounts_of(names: str) -> tuple[str, ...]:
    """Return the accounts that commas separate, each once."""
    return tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))


def _check_accounts(names: str) -> str:
    for name in accounts_of(names):
        caller.check_account(name)
    return names


Accounts = Annotated[str, AfterValidator(_check_accounts)]


class NodeSettings(NatsAccessSettings):
    """The settings that every service of the node reads."""

    nats_url: str = "nats://127.0.0.1:4222"
    tts_prefix: Prefix = DEFAULT_PREFIX
    """What begins the names of all subjects, streams and buckets of the node; `tts.<n>` behind a front door."""
    nats_inbox_prefix: InboxPrefix = subjects.INBOX
    """Prefix of this process' inboxes. A NATS user who may subscribe to it can read the answers to this process."""
    tts_log_dir: Path | None = None
    tts_log_format: Literal["auto", "console", "json"] = "auto"
    tts_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    tts_host: str = "127.0.0.1"
    """Address on which the health, metrics and HTTP ports listen; 0.0.0.0 in a container."""
    tts_health_port: int = Field(0, ge=0, le=65535)
    tts_max_text_chars: int = Field(5_000, ge=1)
    tts_stream_replicas: Annotated[int, AfterValidator(_check_replicas)] = 1
    """Copies of each stream. Odd: 2 copies survive the loss of no more servers than 1, and 4 of no more than 3."""
    tts_audio_max_bytes: int = Field(AUDIO_MAX_BYTES, ge=1 << 20)
    tts_sessions_max_bytes: int = Field(STREAM_MAX_BYTES, ge=1 << 20)
    tts_reports_max_bytes: int = Field(STREAM_MAX_BYTES, ge=1 << 20)
    tts_heard_max_bytes: int = Field(HEARD_MAX_BYTES, ge=1 << 20)
    tts_texts_max_bytes: int = Field(STREAM_MAX_BYTES, ge=1 << 20)
    tts_audio_retention_seconds: int = Field(600, ge=10)
    tts_max_pending_per_session: int = Field(64, ge=1)
    tts_max_backlog_seconds: Annotated[
        Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, BeforeValidator(off_is_absent)
    ] = None
    """A request that would wait longer than this for a slot is refused (by the gateway) or expires early. None: off."""
    tts_max_pending_per_caller: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(off_is_absent)] = 128
    """Requests of one account that are stored and not final, of callers whose requests pass the gateway. None: off."""
    tts_callers: Accounts = ""
    """Comma separated: the NATS accounts of callers, as `orastream init-auth` writes them."""
    heard_records: bool = True
    """Whether the bridges and synth write records of what was heard. They contain text."""
    drain_seconds: float = Field(9, ge=MIN_DRAIN_S, le=3600)
    """Maximum time from SIGTERM to the exit. Docker kills a container 10 s after SIGTERM."""

    @property
    def drain(self) -> Drain:
        """How the process divides DRAIN_SECONDS."""
        return Drain(self.drain_seconds)

    @property
    def limits(self) -> StreamLimits:
        """The stream limits of these settings."""
        return StreamLimits(
            replicas=self.tts_stream_replicas,
            audio_retention_s=self.tts_audio_retention_seconds,
            audio_max_bytes=self.tts_audio_max_bytes,
            sessions_max_bytes=self.tts_sessions_max_bytes,
            reports_max_bytes=self.tts_reports_max_bytes,
            heard_max_bytes=self.tts_heard_max_bytes,
            texts_max_bytes=self.tts_texts_max_bytes,
            max_pending_per_session=self.tts_max_pending_per_session,
            max_text_chars=self.tts_max_text_chars,
            callers=accounts_of(self.tts_callers),
        )

    @classmethod
    def load(cls) -> Self:
        """The settings of this process. Raises SettingsError that names each invalid variable."""
        return load(cls)


def load(cls: type[S]) -> S:
    """Read settings of `cls` from the environment and `.env`. Raises SettingsError that names each invalid variable."""
    try:
        return cls()
    except ValidationError as exc:
        raise SettingsError(describe(cls, exc)) from None
    except UnparsableSetting as exc:  # a JSON setting; the message names the field, and a class of pydantic
        field = re.search(r'field "(\w+)"', str(exc))
        raise SettingsError(f"{field[1].upper() if field else 'settings'}: it is not JSON") from None


def adopt_standard(prefix: str) -> None:
    """Copy the variables of `.env` with `prefix` into the environment, for a library that does not read `.env`.

    Removes empty variables with `prefix`: OpenTelemetry defines them as unset, but its SDK would parse their values.
    """
    for name in [name for name, value in os.environ.items() if name.startswith(prefix) and not value.strip()]:
        del os.environ[name]
    for name, value in dotenv_values(".env").items():
        if name.startswith(prefix) and value:
            os.environ.setdefault(name, value)


class BridgeSettings(NodeSettings, OraServerTlsSettings):
    """The settings that both bridges read."""

    oraserver_token: HeaderSecret | None = None
    websocket_max_retries: int = Field(3, ge=0)
    websocket_metadata: Literal["plain", "rate"] = "plain"
    """Whether the metadata of frames and POSTs have the sample rate."""
    bridge_max_sessions: int = Field(10_000, ge=1)
    """Sessions that one bridge owns at the same time. Further ones are left to other bridges of its kind."""
    synth_stall_seconds: float = Field(20, gt=0)

    @property
    def authorization(self) -> dict[str, str]:
        """The `Authorization` header for OraServer if a token is set, else no header."""
        return {"Authorization": f"Bearer {self.oraserver_token.get_secret_value()}"} if self.oraserver_token else {}
