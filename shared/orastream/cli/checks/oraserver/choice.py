"""Which checks there are, and which of them a run has. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from orastream.cli.checks.oraserver import (
    addition_checks,
    break_checks,
    connection_checks,
    post_checks,
    websocket_checks,
)
from orastream.cli.checks.oraserver.check import Check
from orastream.cli.checks.oraserver.streams import break_checks as stream_break_checks
from orastream.cli.checks.oraserver.streams import (
    cancel_checks,
    content_checks,
    ending_checks,
    negotiation_checks,
    restart_checks,
    sharing_checks,
    storing_checks,
)

CheckedProtocol = Literal["auto", "v1", "v2"]

STREAMS = (
    *negotiation_checks.CHECKS,
    *storing_checks.CHECKS,
    *sharing_checks.CHECKS,
    *stream_break_checks.CHECKS,
    *cancel_checks.CHECKS,
    *content_checks.CHECKS,
    *ending_checks.CHECKS,
    *restart_checks.CHECKS,
)
"""Those of protocol v2, in their order."""
WEBSOCKET = (*connection_checks.CHECKS, *websocket_checks.CHECKS, *break_checks.CHECKS, *addition_checks.CHECKS)
"""Those of protocol v1 over WebSocket."""
POST = post_checks.CHECKS
PLAIN = (*WEBSOCKET, *POST)
"""Those of protocol v1."""
ALL = (*STREAMS, *PLAIN)


class WrongChoice(Exception):
    """There are no such checks, or not with these addresses. `option` is the one that is wrong, if it is one."""

    def __init__(self, reason: str, option: str | None = None) -> None:
        super().__init__(reason)
        self.option = option


def chosen(
    only: Sequence[str] | None, *, websocket: bool, http: bool, protocol: CheckedProtocol = "v1"
) -> tuple[Check, ...]:
    """The checks to run, with those of v2 unless `protocol` is v1. Raises WrongChoice.

    `websocket` and `http`: whether there is an address for them.
    """
    if not websocket and not http:
        raise WrongChoice("give the address of a WebSocket, or --http, or both")
    known = [check.rule.name for check in ALL]
    for name in only or ():
        if name not in known:
            raise WrongChoice(f"there is no check {name!r}; there are {', '.join(known)}", "--only")
    over_websocket = {"auto": (*STREAMS, *WEBSOCKET), "v1": WEBSOCKET, "v2": STREAMS}[protocol]
    reachable = (*(over_websocket if websocket else ()), *(POST if http else ()))
    found = tuple(check for check in reachable if not only or check.rule.name in only)
    if not found:
        problem = "these checks need the other address (URL for WebSocket, --http for POSTs), or another --protocol"
        raise WrongChoice(problem, "--only")
    return found


def without_streams(checks: Sequence[Check], only: Sequence[str] | None) -> tuple[Check, ...]:
    """The checks for a server that does not select v2: those of v2 only if they were asked for by their names."""
    return tuple(check for check in checks if check not in STREAMS or check.rule.name in (only or ()))


def first_of(check: Check) -> Check:
    """The check without which this one has no meaning: it says whether there is such a server."""
    return next(group for group in (STREAMS, POST, WEBSOCKET) if check in group)[0]
