"""The loggers of this library. They use stdlib's `logging`, so that the program decides what is printed and where.

In a process of the node `service.logging` passes the events and their fields through its own processors (`hand_over`).
In any other program they are ordinary records of the loggers `orastream.…`.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import structlog

_OF_LOGGING = ("exc_info", "stack_info", "stacklevel")


def _record(_logger: Any, _method: str, event: structlog.typing.EventDict) -> tuple[tuple[str], dict[str, Any]]:
    """Return an event as the arguments of a stdlib logger: one line of text, with the fields after the event."""
    kept = {name: event.pop(name) for name in _OF_LOGGING if name in event}
    fields = [f"{name}={value!r}" for name, value in event.items() if name != "event"]
    return (" ".join([str(event["event"]), *fields]),), kept


# One list for all loggers, so that `hand_over` also changes the loggers made before it.
_chain: list[Any] = [structlog.stdlib.filter_by_level, _record]


def named(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger for a module's `__name__`. May be called at import, before logging is configured."""
    return cast(
        structlog.stdlib.BoundLogger,
        structlog.wrap_logger(
            logging.getLogger(name),
            processors=_chain,
            wrapper_class=structlog.stdlib.BoundLogger,
            context_class=dict,
            cache_logger_on_first_use=True,
        ),
    )


def hand_over(processors: list[structlog.typing.Processor]) -> None:
    """Send the events of all these loggers, from now on, through `processors` to the handlers of `logging`."""
    _chain[:] = [structlog.stdlib.filter_by_level, *processors]
