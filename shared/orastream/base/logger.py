"""The loggers of this library. They use stdlib's `logging`, so that the program decides what is printed and where.

In a process of the node `service.logging` passes the events and their fields through its own processors (`hand_over`).
In any other program they are ordinary records of the loggers `orastream.…`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Fields = dict[str, Any]
Renderer = Callable[[logging.Logger, str, Fields], tuple[tuple[Any, ...], dict[str, Any]]]
"""`(logger, method, event)` → the arguments of that method of the stdlib logger. `event["event"]` is the text."""

_OF_LOGGING = ("exc_info", "stack_info", "stacklevel")
_CALLER = 3
"""The `stacklevel` of the line that logs: above it are a method of EventLogger and `_write`."""

_bound: ContextVar[Fields | None] = ContextVar("orastream_log_fields", default=None)


def _record(_logger: logging.Logger, _method: str, event: Fields) -> tuple[tuple[str], dict[str, Any]]:
    """Return an event as the arguments of a stdlib logger: one line of text, with the fields after the event."""
    kept = {name: event.pop(name) for name in _OF_LOGGING if name in event}
    fields = [f"{name}={value!r}" for name, value in event.items() if name != "event"]
    return (" ".join([str(event["event"]), *fields]),), kept


# One for all loggers, so that `hand_over` also changes the loggers made before it.
_render: Renderer = _record


class EventLogger:
    """Logs events: a text that is the same each time, and fields with what differs. Thread-safe, as `logging` is."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, /, **fields: object) -> None:
        """Log each step of normal work."""
        self._write(logging.DEBUG, "debug", event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Log the begin or the end of some work."""
        self._write(logging.INFO, "info", event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Log degraded service."""
        self._write(logging.WARNING, "warning", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Log a fault of the node. The field `exc_info` may be an exception: its traceback is logged, too."""
        self._write(logging.ERROR, "error", event, fields)

    def exception(self, event: str, /, **fields: object) -> None:
        """Log a fault with the traceback of the exception that is handled now."""
        self._write(logging.ERROR, "error", event, {"exc_info": True} | fields)

    def _write(self, level: int, method: str, event: str, fields: Fields) -> None:
        if self._logger.isEnabledFor(level):
            args, kwargs = _render(self._logger, method, fields | {"event": event})
            kwargs.setdefault("stacklevel", _CALLER)
            self._logger.log(level, *args, **kwargs)


def named(name: str) -> EventLogger:
    """Return the logger for a module's `__name__`. May be called at import, before logging is configured."""
    return EventLogger(name)


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add these fields to what this task, and each task it starts, logs within the block in a process of the node."""
    token = _bound.set((_bound.get() or {}) | fields)
    try:
        yield
    finally:
        _bound.reset(token)


def bound_fields() -> Fields:
    """The fields of the surrounding `bound` blocks. The inner one wins."""
    return _bound.get() or {}


def hand_over(renderer: Renderer) -> None:
    """Render the events of all these loggers, from now on, with `renderer`. Call it once, before threads log."""
    global _render
    _render = renderer
