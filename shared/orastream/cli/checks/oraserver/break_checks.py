"""Checks over WebSocket of what happens when a connection, a bridge or the server itself ends in mid-utterance."""

from __future__ import annotations

import asyncio

from orastream.cli.checks.oraserver import server_process
from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.listing import MISSING, Sent
from orastream.cli.checks.oraserver.outcomes import CheckFailed, CheckImpossible, Outcome, ok
from orastream.cli.checks.oraserver.server import ServerUnderTest, SpeechConnection
from orastream.cli.checks.oraserver.utterances import Utterance
from orastream.delivery.sink import LinkLost

STARTED_S = 60.0
"""How long the server may take, after the command of `--restart`, until it accepts a connection."""
KILLED_S = 3.0
"""How long after the command a connection of the killed server may seem to be open."""
TRY_EVERY_S, LOOK_EVERY_S = 0.3, 0.05
ROUNDS, KILLS = 12, 4
RETRIES_S = 2.8
"""The least time in which the tries of a bridge are used up, with WEBSOCKET_MAX_RETRIES 3."""
LIBRARY = "a library may answer a ping before your code has stored what came before"
AT_RISK = (
    "If its process dies, it loses what it had read and not stored, although the bridge counts this as delivered. "
    "Store before your handler returns, or answer pings yourself (docs/guide/oraserver.md, Pings, has each library)"
)


@check(
    "break",
    tried="a connection that is reset in mid-utterance; the rest comes over another one",
    rule="Keep the utterance when its connection ends. It goes on with the first chunk that was not confirmed.",
    section="After a break",
)
async def broken_connection(server: ServerUnderTest) -> Outcome:
    said = server.utterance("break")
    async with server.connection(said.session) as line:
        await line.send(said, 0, 4)
        await line.confirmed()
        await line.send(said, 4, 7)
        line.link.cut()
    async with server.connection(said.session) as line:
        await line.send(said, 4, complete=True)
        await line.confirmed()
    return await _kept_over_connections(server, "the utterance went on", said)


async def _kept_over_connections(server: ServerUnderTest, happened: str, said: Utterance) -> Outcome:
    """As `kept`. If chunks are missing that a pong had confirmed, the message also names the likely cause."""
    try:
        return await kept(server, happened, Sent(said))
    except CheckFailed as exc:
        cause = "if pongs come early, chunks that were confirmed wait behind those of the next connection"
        raise CheckFailed(f"{exc}; {cause}" if MISSING in str(exc) else str(exc)) from None


@check(
    "late-complete",
    tried="a break after the last chunk; over the next connection comes only `complete`",
    rule="If the pong after `complete` was lost, the bridge connects again and repeats only what was not confirmed.",
    section="After a break",
)
async def late_complete(server: ServerUnderTest) -> Outcome:
    said = server.utterance("late-complete")
    async with server.connection(said.session) as line:
        await line.send(said)
        await line.confirmed()
        line.link.cut()
    for _ in range(2):
        async with server.connection(said.session) as line:
            await line.send(said, len(said.parts), complete=True)
            await line.confirmed()
            line.link.cut()
    return await kept(server, "`complete` was taken, twice", Sent(said))


@check(
    "takeover",
    tried="a second connection of a session and phone, while the first is open and still brings chunks",
    rule="The newer connection of a session and phone wins: drop what comes over the older one after its `init`.",
    section="WebSocket",
)
async def takeover(server: ServerUnderTest) -> Outcome:
    said, stale = server.utterance("takeover"), server.utterance("takeover", request="stale")
    async with server.connection(said.session) as older:
        await older.send(said, 0, 5)
        await older.confirmed()
        async with server.connection(said.session) as newer:
            await newer.send(said, 2, 7)
            await newer.confirmed()
            closes = await _still_brings(older, stale)
            try:
                await newer.send(said, 7, complete=True)
                await newer.confirmed()
            except LinkLost as exc:
                raise CheckFailed(f"the newer connection ended: {exc}") from None
    outcome = await _kept_over_connections(server, f"the newer one won; the older one was {closes}", said)
    stored = await server.stored(said.session) if server.received_url is not None else []
    if any(each.request == stale.request for each in stored):
        raise CheckFailed("the server stored what came over the older connection after the newer one's `init`")
    return outcome


async def _still_brings(older: SpeechConnection, stale: Utterance) -> str:
    """Send another utterance over the older connection; returns whether the server has closed that connection."""
    try:
        await older.send(stale, 0, 2)
        await older.confirmed()
    except LinkLost:
        return "closed"
    return "left open"


@check(
    "reset",
    tried="a connection that is reset while it brings an utterance, and the next utterance over another one",
    rule="Drop what you have not read of a connection that was reset: it was cancelled, or it comes again.",
    section="After a cancel",
)
async def reset(server: ServerUnderTest) -> Outcome:
    cancelled, following = server.utterance("reset", chunks=100), server.utterance("reset", request="r2")
    async with server.connection(cancelled.session) as line:
        await line.send(cancelled)
        line.link.cut()
    async with server.connection(following.session) as line:
        await line.send(following, complete=True)
        await line.confirmed()
    return await kept(server, "the next utterance was taken", Sent(following))


@check(
    "pongs",
    tried=f"{ROUNDS} times 3 s of speech and a ping; after each pong, what the listing has",
    rule="Answer a ping after everything that was sent before it is stored.",
    section="Confirmation",
)
async def pongs(server: ServerUnderTest) -> Outcome:
    if server.received_url is None:
        return Outcome("unseen", f"Only --received can show it: {LIBRARY}. {AT_RISK}")
    early = 0
    for number in range(ROUNDS):
        said = server.realtime_utterance(f"pongs-{number}")
        sent = Sent(said, complete=False)
        async with server.connection(said.session) as line:
            await line.send(said)
            await line.confirmed()
            early += await server.difference(sent) is not None
        await server.must_have(sent)
    if early:
        return Outcome("risk", f"{early} of {ROUNDS} pongs came before all was stored. {AT_RISK}")
    return ok(f"no early pong was seen in {ROUNDS} tries; only a kill proves it (--restart with --pid-file)")


@check(
    "restart",
    tried="3 s of speech and a ping; right after the pong the server is killed, and started by --restart",
    rule="What a pong has confirmed is not sent again. A server that is restarted must have it.",
    section="Confirmation",
)
async def restart(server: ServerUnderTest) -> Outcome:
    if server.restart is None or server.received_url is None:
        return Outcome("unseen", "needs --received, and --restart COMMAND, which kills your server and starts it again")
    rounds = KILLS if server.pid_file is not None else 1
    away_s = max([await _one_restart(server, server.restart, f"restart-{number}") for number in range(rounds)])
    if away_s > RETRIES_S:
        fix = "start faster, or raise WEBSOCKET_MAX_RETRIES (docs/guide/oraserver.md, If you are restarted)"
        return Outcome("risk", f"away for {away_s:.1f} s: a request can fail after {RETRIES_S:g} s; {fix}")
    if server.pid_file is None:
        more = "the command gave it some milliseconds to store; with --pid-file the tool kills it itself"
        return ok(f"the utterance went on, and nothing that was confirmed is missing; {more}")
    return ok(f"{rounds} times the utterance went on, and nothing that was confirmed is missing")


async def _one_restart(server: ServerUnderTest, command: str, name: str) -> float:
    """Kill the server in mid-utterance, and go on. Returns how long it was away, in seconds. Raises CheckFailed."""
    clock = asyncio.get_running_loop().time
    said = server.realtime_utterance(name)
    confirmed = len(said.parts) - 8
    async with server.connection(said.session) as line:
        await line.send(said, 0, confirmed)
        pid = server_process.pid_in(server.pid_file) if server.pid_file is not None else None
        await line.confirmed()
        killed_at = clock()
        if pid is not None:
            server_process.kill(pid)
        await server_process.run(command)
        await _killed(line)
    await _again(server)
    away_s = clock() - killed_at
    try:
        async with server.connection(said.session) as line:
            await line.send(said, confirmed, complete=True)
            await line.confirmed()
        await server.must_have(Sent(said))
    except (LinkLost, CheckFailed) as exc:
        gone = f"after the restart confirmed audio is gone, or the rest is not taken: {exc}"
        raise CheckFailed(f"{gone}. {AT_RISK}") from None
    return away_s


async def _killed(line: SpeechConnection) -> None:
    """Wait until the connection has ended. Raises CheckImpossible if it stays open."""
    loop = asyncio.get_running_loop()
    until = loop.time() + KILLED_S
    while line.link.lost is None:
        if loop.time() > until:
            raise CheckImpossible("--restart: a connection is still open after the command: does it kill the server?")
        await asyncio.sleep(LOOK_EVERY_S)


async def _again(server: ServerUnderTest) -> None:
    """Wait until the server accepts connections again."""
    loop = asyncio.get_running_loop()
    until = loop.time() + STARTED_S
    while True:
        try:
            async with server.connection(server.session("restarted")) as line:
                await line.confirmed()
                return
        except LinkLost as exc:
            if loop.time() > until:
                raise CheckFailed(f"no connection within {STARTED_S:g} s after --restart: {exc}") from None
        await asyncio.sleep(TRY_EVERY_S)


CHECKS: tuple[Check, ...] = (broken_connection, late_complete, takeover, reset, pongs, restart)
