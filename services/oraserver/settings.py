"""Settings of the reference OraServer, from the environment and `.env`. Command-line flags override them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from orastream.service.origin_check import hosts_in
from orastream.service.settings import HeaderSecret, NodeSettings
from services.oraserver.faults import Faults

_DESCRIPTION = """\
The reference OraServer: receives speech over WebSocket and HTTP (protocol v1), stores it, and checks every rule of the
protocol. For local nodes, tests and demonstrations.

  ws://HOST:PORT/ws/tts     WebSocket; a pong means that all chunks before its ping are stored
  http://HOST:PORT/api/tts  POST of a whole file
  /received                 GET: the utterances in order, with violations (?session=ID); DELETE: forget them, keep files
  /misbehave                GET, POST, DELETE: faults at run time; the names below with _ instead of -
  /healthz                  200 while it runs
"""

_EPILOG = """\
environment: ORASERVER_PORT, ORASERVER_DATA_DIR, ORASERVER_TOKEN (required as "Authorization: Bearer", except for
/healthz and /metrics), ORASERVER_HOSTS (without a token: more hosts by which it may be called, and whose pages may
call it), ORASERVER_MISBEHAVE (faults as JSON), TTS_HOST. Flags override them.

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

    @field_validator("oraserver_hosts")
    @classmethod
    def _holds_hosts(cls, value: str | None) -> str | None:
        hosts_in(value)
        return value

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of ORASERVER_HOSTS."""
        return hosts_in(self.oraserver_hosts)

    @property
    def token(self) -> str | None:
        """The token that callers must send; None when it is absent or empty."""
        return (self.oraserver_token.get_secret_value() or None) if self.oraserver_token else None


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
    group = parser.add_argument_group("faults")
    for name, field in Faults.model_fields.items():
        flag = "--" + name.replace("_", "-")
        if field.annotation is bool:
            group.add_argument(flag, action="store_true", default=None, help=field.description)
        else:
            kind = float if field.annotation is float else int
            group.add_argument(flag, type=kind, metavar="N", help=field.description)
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    settings = OraServerSettings.load()
    faults = settings.oraserver_misbehave.model_dump() | {n: given.pop(n) for n in Faults.model_fields if n in given}
    try:
        given["oraserver_misbehave"] = Faults(**faults)
    except ValidationError as exc:
        problem = exc.errors(include_url=False, include_input=False)[0]
        parser.error(f"--{str(problem['loc'][0]).replace('_', '-')}: {problem['msg']}")
    return settings.model_copy(update=given)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return port
