"""Logs: structlog over stdlib handlers. JSON in containers, coloured on a terminal, and a rotated file if asked for.

ERROR is our fault, WARNING degraded, INFO a session's begin, end and reconnect, DEBUG per chunk; never the spoken text.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path
from typing import Literal

import structlog

FILE_BYTES = 10 << 20
FILES_KEPT = 5

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
    structlog.processors.format_exc_info,
]


def configure(
    service: str,
    *,
    level: str = "INFO",
    style: Literal["auto", "console", "json"] = "auto",
    directory: Path | None = None,
) -> None:
    """Send this process' logs to stderr, and to `<directory>/tts-<service>.log` (rotated) when given.

    Call once, before anything is logged.
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    stderr = logging.StreamHandler()
    stderr.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if console else _json()))
    handlers: list[logging.Handler] = [stderr]
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"tts-{service}.log"
        rotated = logging.handlers.RotatingFileHandler(
            path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8"
        )
        rotated.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=False)))
        handlers.append(rotated)
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level)
    for noisy in ("asyncio", "aiohttp.access", "websockets", "nats", "uvicorn.access"):
        logging.getLogger(noisy).setLevel("WARNING")
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)


def _json() -> structlog.typing.Processor:
    return structlog.processors.JSONRenderer(ensure_ascii=False)


def _formatter(renderer: structlog.typing.Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    )
