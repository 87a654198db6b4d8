"""Checks of a WebSocket itself: the handshake, who may open one, and how long it stays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import CheckFailed, Outcome, ok
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.delivery.sink import LinkLost


@check(
    "handshake",
    tried="a connection, `init`, a ping",
    rule="The server accepts the WebSocket within 5 s, and answers a ping within 10 s.",
    section="WebSocket",
)
async def handshake(server: ServerUnderTest) -> Outcome:
    try:
        async with server.connection(server.session("handshake")) as line:
            return ok(f"opened; a ping was answered in {1_000 * await line.confirmed():.0f} ms")
    except LinkLost as exc:
        raise CheckFailed(
            f"{exc}{_HINTS.get(exc.status or 0, '')}{PAYLOAD if 'not answered' in str(exc) else ''}"
        ) from None


PAYLOAD = " (a pong with another payload than the ping's is no answer)"
_HINTS = {
    200: ": is there a WebSocket at this path?",
    301: ": redirects are not followed",
    302: ": redirects are not followed",
    401: ": give its token (--token)",
    403: ": give its token (--token)",
    404: ": is the path right?",
}


@check(
    "idle",
    tried="a connection on which nothing is sent, and then an utterance",
    rule="The bridge keeps a connection for WEBSOCKET_IDLE_SECONDS (30) after an utterance, without a ping.",
    section="WebSocket",
)
async def idle(server: ServerUnderTest) -> Outcome:
    if server.idle_s <= 0:
        return Outcome("skipped", "--idle-seconds is 0")
    said = server.utterance("idle")
    async with server.connection(said.session) as line:
        await line.confirmed()
        await asyncio.sleep(server.idle_s)
        if (lost := line.link.lost) is not None:
            await _is_there(server)
            costs = "each utterance after a pause then waits for a handshake; raise the server's idle time"
            return Outcome("risk", f"{lost} within {server.idle_s:g} s: {costs}")
        await line.send(said, complete=True)
        await line.confirmed()
    return await kept(server, f"open after {server.idle_s:g} s", Sent(said))


async def _is_there(server: ServerUnderTest) -> None:
    """Connect again. Raises CheckFailed if that fails."""
    try:
        async with server.connection(server.session("idle")) as line:
            await line.confirmed()
    except LinkLost as exc:
        raise CheckFailed(f"the server is gone: {exc}") from None


@check(
    "token",
    tried="a handshake with a wrong token, and one without a token",
    rule="A server with a token answers a wrong one with 401, or another 4xx: the bridge then does not try again.",
    section="WebSocket",
)
async def token(server: ServerUnderTest) -> Outcome:
    if server.token is None:
        return Outcome("skipped", "there is no token (--token or ORASERVER_TOKEN)")
    return judged_refusals([await _status(server, wrong) for wrong in wrong_tokens(server)])


async def _status(server: ServerUnderTest, wrong: str) -> int | None:
    """The status with which a handshake with this token is refused; None if the connection can be used."""
    try:
        async with server.connection(server.session("token"), token=wrong) as line:
            try:
                await line.confirmed()
            except LinkLost as exc:
                answer = "answer the handshake itself with 401: the bridge takes this for a break, and tries again"
                raise CheckFailed(f"accepted, and then ended ({exc}); {answer}") from None
    except LinkLost as exc:
        if exc.status is None:
            raise CheckFailed(str(exc)) from None
        return exc.status
    return None


def wrong_tokens(server: ServerUnderTest) -> tuple[str, str]:
    """A wrong token, and none."""
    return f"wrong-{server.run}", ""


def judged_refusals(statuses: Sequence[int | None]) -> Outcome:
    """The outcome for the statuses that the wrong tokens got; None: one was accepted."""
    if None in statuses:
        which = "a wrong token" if statuses[0] is None else "a missing token"
        return Outcome("risk", f"{which} is accepted: everybody who reaches the server can send speech to phones")
    for status in statuses:
        if status is not None and not 400 <= status < 500:
            raise CheckFailed(
                f"answered by HTTP {status}: the bridge takes this for a passing failure, and tries again"
            )
    return ok(f"refused with HTTP {', '.join(sorted({str(status) for status in statuses}))}")


CHECKS: tuple[Check, ...] = (handshake, idle, token)
