"""Logging: structlog over stdlib handlers. JSON in containers, colours on a terminal, and a rotated file if configured.

ERROR: a fault of the node. WARNING: degraded service. INFO: begin, end and reconnect of a session. DEBUG: each chunk.
The spoken text is never logged.
"""

from __future__ import annotations

import fcntl
import itertools
import logging
import logging.handlers
import os
import sys
from pathlib import Path
from typing import Any, Literal

import structlog

from orastream.base import logger
from orastream.base.foreign_text import escaped, escaped_json
from orastream.contract.errors import SettingsError

FILE_BYTES = 10 << 20
FILES_KEPT = 5

_OF_LINES = ("exception", "stack")
"""The fields that have several lines."""


def _merge_bound(_wrapped: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Add the fields of the library's `logger.bound` blocks."""
    return {**logger.bound_fields(), **event}


_SHARED: list[structlog.typing.Processor] = [
    _merge_bound,
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
    """Send this process' logs to stderr, and with `directory` also to `<directory>/tts-<service>.log` (rotated).

    A second process of the service gets `tts-<service>-2.log`, the third one 3, and so on: two writers of one file
    would rotate it while the other one writes. Call it once, before anything is logged. Raises SettingsError when the
    directory is not writable.
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    stderr = logging.StreamHandler()
    stderr.setFormatter(_console(colors=sys.stderr.isatty()) if console else _formatter(_json))
    handlers: list[logging.Handler] = [stderr]
    if directory is not None:
        rotated = logging.handlers.RotatingFileHandler(
            _own_file(directory, service),
            maxBytes=FILE_BYTES,
            backupCount=FILES_KEPT,
            encoding="utf-8",
            errors="backslashreplace",  # as for stderr: else a subject that is not UTF-8 loses the line
        )
        rotated.setFormatter(_console(colors=False))
        handlers.append(rotated)
    # Our formatters do not show line, thread or process. Finding them out takes longer than making the record
    # ("Optimization" in logging's documentation).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level)
    for noisy in ("asyncio", "aiohttp.access", "websockets", "nats", "uvicorn.access"):
        logging.getLogger(noisy).setLevel("WARNING")
    processors = [*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
    logger.hand_over(_through)
    structlog.configure(
        processors=processors,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)


def _through(
    stdlib: logging.Logger, method: str, event: structlog.typing.EventDict
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Pass an event of the library's own loggers through the processors of structlog's."""
    for process in _SHARED:
        event = process(stdlib, method, event)  # type: ignore[assignment]
    return structlog.stdlib.ProcessorFormatter.wrap_for_formatter(stdlib, method, event)


def _own_file(directory: Path, service: str) -> Path:
    """The first log file of the service that no other running process uses. Locks it until this process ends."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            path = directory / (f"tts-{service}.log" if number == 1 else f"tts-{service}-{number}.log")
            # The lock is on a separate file, because rotation renames the log file.
            lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            else:
                path.open("ab").close()  # raises if it is not writable
                return path
    except OSError as exc:
        raise SettingsError(f"TTS_LOG_DIR: cannot write to {directory} ({exc.strerror}); choose another") from exc
    raise AssertionError("itertools.count is endless")


_render_json = structlog.processors.JSONRenderer(ensure_ascii=False)


def _json(wrapped: object, method: str, event: structlog.typing.EventDict) -> str:
    return escaped_json(str(_render_json(wrapped, method, event)))


def _console(*, colors: bool) -> logging.Formatter:
    return _formatter(_escape, structlog.dev.ConsoleRenderer(colors=colors))


def _escape(_wrapped: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape what the console renderer prints as it is: an ESC in a foreign text would give commands to the terminal.

    A traceback keeps its lines.
    """
    return {name: _printable(value, "\n\t" if name in _OF_LINES else "") for name, value in event.items()}


def _printable(value: object, keep: str) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return escaped(value if isinstance(value, str) else repr(value), keep=keep)


def _formatter(*rendering: structlog.typing.Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering]
    )
