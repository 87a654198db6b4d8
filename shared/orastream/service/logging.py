"""Logs: structlog over stdlib handlers. JSON in containers, coloured on a terminal, and a rotated file if asked for.

ERROR is our fault, WARNING degraded, INFO a session's begin, end and reconnect, DEBUG per chunk; never the spoken text.
"""

from __future__ import annotations

import fcntl
import itertools
import logging
import logging.handlers
import os
import sys
from pathlib import Path
from typing import Literal

import structlog

from orastream.base import logger
from orastream.contract.errors import SettingsError

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

    Another process of that service in the same directory gets `tts-<service>-2.log`, the next one 3, and so on: two
    writers of one file would rotate it under each other. Call once, before anything is logged. Raises SettingsError
    when the directory cannot be written.
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    stderr = logging.StreamHandler()
    stderr.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if console else _json()))
    handlers: list[logging.Handler] = [stderr]
    if directory is not None:
        rotated = logging.handlers.RotatingFileHandler(
            _own_file(directory, service),
            maxBytes=FILE_BYTES,
            backupCount=FILES_KEPT,
            encoding="utf-8",
            errors="backslashreplace",  # as of stderr: a subject that is not UTF-8 must not cost the line that names it
        )
        rotated.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=False)))
        handlers.append(rotated)
    # No formatter of ours names the line, thread or process; finding them out costs more than the record
    # ("Optimization" in logging's documentation).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level)
    for noisy in ("asyncio", "aiohttp.access", "websockets", "nats", "uvicorn.access"):
        logging.getLogger(noisy).setLevel("WARNING")
    processors = [*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
    logger.hand_over(processors)
    structlog.configure(
        processors=processors,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)


def _own_file(directory: Path, service: str) -> Path:
    """The first file of the service that no other living process writes; it stays ours until this process ends."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            path = directory / (f"tts-{service}.log" if number == 1 else f"tts-{service}-{number}.log")
            # A file beside it holds the lock: the log itself is renamed when it is rotated.
            lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            else:
                path.open("ab").close()  # whether it can be written
                return path
    except OSError as exc:
        raise SettingsError(f"TTS_LOG_DIR: cannot write to {directory} ({exc.strerror}); choose another") from exc
    raise AssertionError("counting does not end")


def _json() -> structlog.typing.Processor:
    return structlog.processors.JSONRenderer(ensure_ascii=False)


def _formatter(renderer: structlog.typing.Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    )
