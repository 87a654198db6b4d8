"""`python -m services.oraserver`: runs the reference OraServer until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys

import structlog
import uvloop

from orastream.contract.errors import SettingsError
from orastream.service import logging
from orastream.service.unknown_settings import correction, unknown_names
from services.oraserver.app import OraServer, serve
from services.oraserver.settings import OraServerSettings, parse

log = structlog.get_logger()


async def run(settings: OraServerSettings) -> None:
    """Serve until SIGTERM or SIGINT, then close connections and files."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = OraServer(
        settings.oraserver_data_dir,
        token=settings.token,
        hosts=settings.hosts,
        bound=settings.tts_host,
        faults=settings.oraserver_misbehave,
        terms=settings.terms,
    )
    async with serve(server, host=settings.tts_host, port=settings.oraserver_port):
        sys.stdout.write(f"listening on {server.url}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> int:
    """Run the server; returns the exit code: 0 after a signal, 2 when it cannot start."""
    try:
        settings = parse()
        logging.configure(
            "oraserver", level=settings.tts_log_level, style=settings.tts_log_format, directory=settings.tts_log_dir
        )
        for unknown in unknown_names():
            log.warning("unknown setting; a typing error?", setting=unknown, fix=correction(unknown))
        uvloop.run(run(settings))
    except (SettingsError, OSError) as exc:
        sys.stderr.write(f"oraserver: {exc}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
