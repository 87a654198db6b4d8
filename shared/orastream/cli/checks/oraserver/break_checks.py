"""Checks over WebSocket of what happens when a connection, a bridge or the server itself ends in mid-utterance."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL

from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import CheckFailed, Outcome, ok
from orastream.cli.checks.oraserver.server import CheckImpossible, ServerUnderTest, SpeechConnection
from orastream.cli.checks.oraserver.utterances import Utterance
from orastream.delivery.sink import LinkLost

STOPPED_S, STARTED_S = 30.0, 60.0
"""How long the command of `--restart` may take, and how long the server may take until it accepts a connection."""
KILLED_S = 3.0
"""How long after the command a connection of the killed server may seem to be open."""
TRY_EVERY_S, LOOK_EVERY_S = 0.3, 0.05
ROUNDS, CHUNKS_A_ROUND = 12, 128
"""Each round of `pongs` sends 512 KiB, the most that a bridge writes before a pong."""
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
    return await kept(server, "the utterance went on", Sent(said))


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
    tried="a second connection of a session and phone, while the first is open and still brings a chunk",
    rule="The newer connection of a session and phone wins. It may repeat chunks that were confirmed shortly before.",
    section="Duplicates",
)
async def takeover(server: ServerUnderTest) -> Outcome:
    said = server.utterance("takeover")
    async with server.connection(said.session) as older:
        await older.send(said, 0, 5)
        await older.confirmed()
        async with server.connection(said.session) as newer:
            await newer.send(said, 2, 7)
            await newer.confirmed()
            closes = await _still_brings(older, said)
            try:
                await newer.send(said, 7, complete=True)
                await newer.confirmed()
            except LinkLost as exc:
                raise CheckFailed(f"the newer connection ended: {exc}") from None
    return await kept(server, f"the newer one won; the older one was {closes}", Sent(said))


async def _still_brings(older: SpeechConnection, said: Utterance) -> str:
    """Send an old chunk over the older connection; returns what became of it."""
    try:
        await older.send(said, 5, 6)
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
    tried=f"{ROUNDS} times 512 KiB and a ping; after each pong, what the listing has",
    rule="Answer a ping after everything that was sent before it is stored.",
    section="Confirmation",
)
async def pongs(server: ServerUnderTest) -> Outcome:
    if server.received_url is None:
        how = (
            "only --received or --restart can show it. A library may answer pings before your code has stored anything"
        )
        return Outcome("unseen", f"{how}. {AT_RISK}")
    early, most = 0, 0
    for number in range(ROUNDS):
        said = server.utterance(f"pongs-{number}", chunks=CHUNKS_A_ROUND)
        async with server.connection(said.session) as line:
            await line.send(said)
            await line.confirmed()
            listed = await server.stored(said.session) or []
            missing = said.size() - sum(each.bytes for each in listed)
        early, most = early + (missing > 0), max(most, missing)
    if early:
        what = f"{early} of {ROUNDS} pongs came before all was stored; up to {most:,} bytes were missing"
        return Outcome("risk", f"{what}. {AT_RISK}")
    return ok(f"after {ROUNDS} pongs all was in the listing")


@check(
    "restart",
    tried="chunks and a ping; right after the pong the server is killed and started by --restart",
    rule="What a pong has confirmed is not sent again. A server that is restarted must have it.",
    section="Confirmation",
)
async def restart(server: ServerUnderTest) -> Outcome:
    if server.restart is None:
        return Outcome("unseen", "needs --restart COMMAND, a command that kills your server and starts it again")
    said = server.utterance("restart", chunks=CHUNKS_A_ROUND)
    async with server.connection(said.session) as line:
        await line.send(said, 0, CHUNKS_A_ROUND - 8)
        await line.confirmed()
        await _run(server.restart)
        await _killed(line)
    await _again(server)
    async with server.connection(said.session) as line:
        await line.send(said, CHUNKS_A_ROUND - 8, complete=True)
        try:
            await line.confirmed()
        except LinkLost as exc:
            raise CheckFailed(f"after the restart the rest of the utterance was not taken: {exc}") from None
    try:
        return await kept(server, "the utterance went on", Sent(said))
    except CheckFailed as exc:
        raise CheckFailed(f"confirmed audio is gone after the restart: {exc}. {AT_RISK}") from None


async def _run(command: str) -> None:
    process = await asyncio.create_subprocess_shell(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    try:
        async with asyncio.timeout(STOPPED_S):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        raise CheckImpossible(
            f"--restart: the command did not end within {STOPPED_S:g} s; start the server in the background"
        ) from None
    if code:
        raise CheckImpossible(f"--restart: the command ended with exit code {code}")


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
