"""The check that kills the server in mid-utterance, and starts it again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from orastream.cli.checks.oraserver import server_process
from orastream.cli.checks.oraserver.break_checks import KILLED_S, KILLS, RETRIES_S, STARTED_S, TRY_EVERY_S
from orastream.cli.checks.oraserver.check import Check, check
from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import STREAMS_PAGE, CheckFailed, CheckImpossible, Outcome, ok
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.cli.checks.oraserver.streams.frame_client import FrameClient, frames, speech
from orastream.cli.checks.oraserver.streams.speech import PART_BYTES
from orastream.delivery.sink import LinkLost

FORGETS = "in memory this is allowed; to lose nothing, store before you acknowledge"


@dataclass(frozen=True, slots=True)
class RestartFindings:
    """What one restart has shown."""

    acked: int
    upto: int
    away_s: float
    stale_opened: bool
    """It has opened a stream whose fence it had seen before it was killed."""


@check(
    "v2-restart",
    tried="an utterance; right after an `ack` the server is killed, and started by --restart; then the rest",
    rule="`opened` has what was acknowledged, and never more than was sent. The fence outlives the process, too.",
    section="What you must store, and when",
    page=STREAMS_PAGE,
)
async def restart(server: ServerUnderTest) -> Outcome:
    if server.restart is None:
        return Outcome("unseen", "needs --restart COMMAND, which kills your server and starts it again")
    rounds = KILLS if server.pid_file is not None else 1
    found = [await _one_restart(server, server.restart, number) for number in range(rounds)]
    if (worst := min(found, key=lambda each: each.upto - each.acked)).upto < worst.acked:
        return Outcome("risk", f"forgets: {worst.acked} bytes were acknowledged, `opened` has {worst.upto}; {FORGETS}")
    if any(each.stale_opened for each in found):
        return Outcome("risk", "forgets the fence: an `open` that an earlier bridge has sent is accepted again")
    if (away_s := max(each.away_s for each in found)) > RETRIES_S:
        return Outcome("risk", f"away for {away_s:.1f} s: a request can fail after {RETRIES_S:g} s")
    happened = f"{rounds} times it went on at the acknowledged byte"
    if server.received_url is None:
        return Outcome("accepted", happened)
    return ok(f"{happened}; the stored files are right")


async def _one_restart(server: ServerUnderTest, command: str, number: int) -> RestartFindings:
    clock = asyncio.get_running_loop().time
    spoken, attempt = await speech(server, f"v2-restart-{number}"), next(server.numbers)
    sent = 6 * PART_BYTES
    async with frames(server) as client:
        stream = client.open(spoken, attempt=attempt)
        await stream.accepted()
        for at in range(0, sent, PART_BYTES):
            stream.send(at, at + PART_BYTES)
        pid = server_process.pid_in(server.pid_file) if server.pid_file is not None else None
        acked = await stream.ack_of_all_sent()
        killed_at = clock()
        if pid is not None:
            server_process.kill(pid)
        await server_process.run(command)
        await _killed(client)
    await _again(server)
    away_s = clock() - killed_at
    async with frames(server) as client:
        stale = client.open(spoken, fresh=False, attempt=attempt)
        await client.wait(lambda: stale.opened or stale.error, "answer to a stale `open`")
        stream = client.open(spoken, fresh=False)
        answer = await stream.accepted()
        if answer.upto > sent or any(past > sent for _, past in answer.ranges):
            raise CheckFailed(f"`opened` has upto {answer.upto} and {answer.ranges}; {sent} bytes were sent")
        stream.send_missing(answer.upto, answer.ranges)
        stream.end()
        await stream.delivered()
    if server.received_url is not None:  # now: a server that forgets has lost it after the next restart
        await server.must_have(Sent(spoken.said))
    return RestartFindings(acked.upto, answer.upto, away_s, stale.opened is not None)


async def _killed(client: FrameClient) -> None:
    """Wait until the connection has ended. Raises CheckImpossible if it stays open."""
    try:
        await client.wait_until_lost(KILLED_S)
    except CheckFailed:
        problem = "a connection is still open after the command: does it kill the server?"
        raise CheckImpossible(f"--restart: {problem}") from None


async def _again(server: ServerUnderTest) -> None:
    """Wait until the server accepts connections again."""
    loop = asyncio.get_running_loop()
    until = loop.time() + STARTED_S
    while True:
        try:
            async with frames(server):
                return
        except LinkLost as exc:
            if loop.time() > until:
                raise CheckFailed(f"no connection within {STARTED_S:g} s after --restart: {exc}") from None
        await asyncio.sleep(TRY_EVERY_S)


CHECKS: tuple[Check, ...] = (restart,)
