"""The logger of a module of this library: stdlib's `logging`, so that a program that uses the library decides.

In a process of the node `logs.configure` takes the events over, with their fields. Anywhere else they are ordinary
records of the loggers `orastream.…`: nothing is printed that the program's logging does not print.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import structlog

_OF_LOGGING = ("exc_info", "stack_info", "stacklevel")


def _record(_logger: Any, _method: str, event: structlog.typing.EventDict) -> tuple[tuple[str], dict[str, Any]]:
    """An event as the arguments of a stdlib logger: one line of text, what fields it has behind it."""
    kept = {name: event.pop(name) for name in _OF_LOGGING if name in event}
    fields = [f"{name}={value!r}" for name, value in event.items() if name != "event"]
    return (" ".join([str(event["event"]), *fields]),), kept


_chain: list[Any] = [structlog.stdlib.filter_by_level, _record]  # one list for all loggers, also those made before


def named(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module, by its `__name__`; made at import, before anything is configured."""
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
    """From now on events of all these loggers go through `processors` to the handlers of `logging`."""
    _chain[:] = [structlog.stdlib.filter_by_level, *processors]
