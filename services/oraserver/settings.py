"""Settings of the reference OraServer, from the environment and `.env`. Command-line flags override them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from orastream.contract.audio import FORMATS
from orastream.contract.oraserver.from_server import MIN_CREDIT
from orastream.contract.oraserver.wire import MAX_INT
from orastream.service.origin_check import hosts_in
from orastream.service.settings import HeaderSecret, NodeSettings
from services.oraserver.faults import Faults
from services.oraserver.v2.terms import ProtocolChoice, StreamTerms

STREAM_FLAGS = {
    "oraserver_reference_protocol": "protocol",
    "oraserver_credit": "credit",
    "oraserver_streams": "streams",
    "oraserver_formats": "formats",
    "oraserver_keep_seconds": "keep-seconds",
    "oraserver_crc": "crc",
    "oraserver_played": "played",
    "oraserver_fsync": "fsync",
}
"""The settings of protocol v2, with their flags."""
TEXT_FAULTS = frozenset({"stall_phone", "open_error"})

_DESCRIPTION = """\
The reference OraServer: receives speech over WebSocket (protocols v1 and v2) and HTTP (v1), stores it, and checks
every rule of the protocols. For local nodes, tests and demonstrations.

  ws://HOST:PORT/ws/tts     WebSocket; a pong means that all chunks before its ping are stored
  http://HOST:PORT/api/tts  POST of a whole file
  /received                 GET: the utterances in order, with violations (?session=ID); DELETE: forget them, keep files
  /streams                  GET: counts, fences and connections of v2; DELETE: forget what v2 has stored
  /streams/connections      DELETE: abort the connections of v2 (?number=N)
  /misbehave                GET, POST, DELETE: faults at run time; the names below with _ instead of -
  /healthz                  200 while it runs
"""

_EPILOG = """\
environment: ORASERVER_PORT, ORASERVER_DATA_DIR, ORASERVER_TOKEN (required as "Authorization: Bearer", except for
/healthz and /metrics), ORASERVER_HOSTS (without a token: more hosts by which it may be called, and whose pages may
call it), ORASERVER_MISBEHAVE (faults as JSON), TTS_HOST. Flags override them. Protocol v2: ORASERVER_REFERENCE_PROTOCOL
(auto, v1, refuse, first) and the settings beside the flags below.

examples:
  python -m services.oraserver --port 8080
  python -m services.oraserver --drop-after-chunks 3 --times 2     two breaks, then no faults
  curl -X POST localhost:8080/misbehave -d '{"read_delay_ms": 200}'
  curl localhost:8080/received | jq '.utterances[] | {requestId, chunks, complete, file}'
"""


class OraServerSettings(NodeSettings):
    """The settings of the reference OraServer."""

    oraserver_port: int = Field(8080, ge=0, le=65_535)
    """0 takes a free port and prints it."""
    oraserver_data_dir: Path = Path(".orastream/oraserver")
    oraserver_token: HeaderSecret | None = None
    oraserver_hosts: str | None = None
    """Comma separated. Without a token: more hosts by which it may be called, and whose pages may call it."""
    oraserver_misbehave: Faults = Faults()
    oraserver_reference_protocol: ProtocolChoice = "auto"
    """Which subprotocol it selects."""
    oraserver_credit: int = Field(262_144, ge=MIN_CREDIT, le=MAX_INT)
    """Bytes that a new stream may send at once."""
    oraserver_streams: int = Field(1_000, ge=1, le=1_000_000)
    """Unfinished streams of a connection."""
    oraserver_formats: str = ",".join(FORMATS)
    """Comma separated: the audio formats that it takes over v2."""
    oraserver_keep_seconds: float = Field(600, ge=0, le=86_400, allow_inf_nan=False)
    """How long an unfinished utterance is kept after its connection broke."""
    oraserver_crc: bool = False
    oraserver_played: bool = False
    oraserver_fsync: bool = False
    """Whether what v2 stores survives the end of the machine, too."""

    @field_validator("oraserver_hosts")
    @classmethod
    def _holds_hosts(cls, value: str | None) -> str | None:
        hosts_in(value)
        return value

    @field_validator("oraserver_formats")
    @classmethod
    def _holds_formats(cls, value: str) -> str:
        unknown = [name for name in _names(value) if name not in FORMATS]
        if unknown or not _names(value):
            raise ValueError(f"{value!r} must be some of {', '.join(FORMATS)}")
        return value

    @property
    def terms(self) -> StreamTerms:
        """The terms of protocol v2."""
        return StreamTerms(
            protocol=self.oraserver_reference_protocol,
            credit=self.oraserver_credit,
            streams=self.oraserver_streams,
            formats=_names(self.oraserver_formats),
            keep_s=self.oraserver_keep_seconds,
            crc=self.oraserver_crc,
            played=self.oraserver_played,
            fsync=self.oraserver_fsync,
        )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of ORASERVER_HOSTS."""
        return hosts_in(self.oraserver_hosts)

    @property
    def token(self) -> str | None:
        """The token that callers must send; None when it is absent or empty."""
        return (self.oraserver_token.get_secret_value() or None) if self.oraserver_token else None


def _names(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


def parse(arguments: Sequence[str] | None = None) -> OraServerSettings:
    """The settings of this process. Raises SettingsError; exits like argparse for wrong flags and `--help`."""
    parser = argparse.ArgumentParser(
        prog="python -m services.oraserver",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--host", dest="tts_host", metavar="HOST", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", dest="oraserver_port", type=_port, metavar="N", help="port; 0: any free one (8080)")
    parser.add_argument(
        "--data-dir",
        dest="oraserver_data_dir",
        type=Path,
        metavar="DIR",
        help="directory of audio and journal (.orastream/oraserver)",
    )
    _add_stream_flags(parser)
    group = parser.add_argument_group("faults")
    for name, field in Faults.model_fields.items():
        flag = "--" + name.replace("_", "-")
        if field.annotation is bool:
            group.add_argument(flag, action="store_true", default=None, help=field.description)
        else:
            kind = str if name in TEXT_FAULTS else float if field.annotation is float else int
            metavar = "TEXT" if kind is str else "N"
            group.add_argument(flag, type=kind, metavar=metavar, help=field.description)
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    settings = OraServerSettings.load()
    streams = {name: given.pop(name) for name in STREAM_FLAGS if name in given}
    if streams:
        try:
            settings = OraServerSettings(**streams)
        except ValidationError as exc:
            problem = exc.errors(include_url=False, include_input=False)[0]
            parser.error(f"--{STREAM_FLAGS[str(problem['loc'][0])]}: {problem['msg']}")
    faults = settings.oraserver_misbehave.model_dump() | {n: given.pop(n) for n in Faults.model_fields if n in given}
    try:
        given["oraserver_misbehave"] = Faults(**faults)
    except ValidationError as exc:
        problem = exc.errors(include_url=False, include_input=False)[0]
        parser.error(f"--{str(problem['loc'][0]).replace('_', '-')}: {problem['msg']}")
    return settings.model_copy(update=given)


def _add_stream_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("protocol v2")
    for name, flag in STREAM_FLAGS.items():
        field = OraServerSettings.model_fields[name]
        if field.annotation is bool:
            group.add_argument("--" + flag, dest=name, action="store_true", default=None, help=f"{name.upper()}=on")
        else:
            group.add_argument("--" + flag, dest=name, metavar="VALUE", help=f"{name.upper()} ({field.default})")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return port
