"""Checks of how a connection becomes one of v2, and of `hello`."""

from __future__ import annotations

from orastream.cli.checks.oraserver.check import Check, check
from orastream.cli.checks.oraserver.connection_checks import judged_refusals, wrong_tokens
from orastream.cli.checks.oraserver.outcomes import MESSAGES_PAGE, STREAMS_PAGE, CheckFailed, Outcome, ok
from orastream.cli.checks.oraserver.server import PHONE, ServerUnderTest
from orastream.cli.checks.oraserver.streams.frame_client import OFFER, connect, frames, speech
from orastream.contract.audio import FORMATS
from orastream.contract.oraserver.from_server import MIN_CREDIT, ServerHello
from orastream.delivery.rules.negotiation import NO_REFUSALS_OF_THE_OFFER, V1, V2
from orastream.delivery.sink import LinkLost
from orastream.delivery.websocket.link import WebSocketLink

BOTH, ALONE = (V1, V2), (V2,)
V2_ALONE = (
    "no connection of v1: a bridge with ORASERVER_PROTOCOL=v1, as in an upgrade, cannot deliver. "
    "For a server that speaks v2 alone: --protocol v2"
)


async def selects_v2(server: ServerUnderTest) -> bool:
    """Whether the server selects v2 when a bridge offers both. Raises nothing: if it is not there, it does not."""
    try:
        connection = await connect(server, BOTH)
    except LinkLost:
        return False
    connection.close()
    return connection.subprotocol == V2


@check(
    "v2-handshake",
    tried=f"the offer `{V1}, {V2}`, and the offer `{V2}` alone",
    rule=f"Select `{V2}` explicitly: it comes second in the first offer. Further connections offer it alone. "
    "The first frame is `hello`, within 5 s; the bridge sends nothing before it.",
    section="Negotiation",
    page=STREAMS_PAGE,
)
async def handshake(server: ServerUnderTest) -> Outcome:
    for offer in (BOTH, ALONE):
        try:
            async with frames(server, offer=offer):
                pass
        except LinkLost as exc:
            raise CheckFailed(f"offer {', '.join(offer)}: {exc}") from None
    return ok("selected both times, and `hello` came first")


@check(
    "v2-offers",
    tried=f"the offer `{V1}` alone, and no offer: `init`, and a ping",
    rule=f"Without `{V2}` in the offer a connection is one of v1. A server that speaks v2 alone answers it with 400.",
    section="Negotiation",
    page=STREAMS_PAGE,
)
async def offers(server: ServerUnderTest) -> Outcome:
    for offer in ((V1,), ()):
        name = f"offer {V1}" if offer else "no offer"
        try:
            connection = await connect(server, offer)
        except LinkLost as exc:
            if offer and exc.refused and exc.status not in NO_REFUSALS_OF_THE_OFFER:
                continue  # a bridge then offers nothing
            if exc.refused and exc.status not in NO_REFUSALS_OF_THE_OFFER:
                return Outcome("risk", f"HTTP {exc.status}: {V2_ALONE}")
            raise CheckFailed(f"{name}: {exc}") from None
        binary: list[bytes | None] = []
        link = WebSocketLink.begun(connection, server.session(OFFER), PHONE, _nothing)
        try:
            await link.confirm(_always)
            if offer:
                connection.share(binary.append, _nothing)
                await connection.confirm()
        except LinkLost as exc:
            raise CheckFailed(f"{name}: {exc}") from None
        finally:
            connection.close()
        if any(each is not None for each in binary):
            raise CheckFailed(f"{name}: the server sends binary frames, as if it had selected {V2}")
    return ok("a connection of v1 works")


@check(
    "v2-token",
    tried=f"the offer `{V2}` with a wrong token, and without a token",
    rule="A server with a token answers a wrong one with 401, or another 4xx, whatever is offered.",
    section="Negotiation",
    page=STREAMS_PAGE,
)
async def token(server: ServerUnderTest) -> Outcome:
    if server.token is None:
        return Outcome("skipped", "there is no token (--token or ORASERVER_TOKEN)")
    return judged_refusals([await _status(server, wrong) for wrong in wrong_tokens(server)])


async def _status(server: ServerUnderTest, wrong: str) -> int | None:
    """The status with which a handshake with this token is refused; None if the connection was opened."""
    try:
        connection = await connect(server, BOTH, token=wrong)
    except LinkLost as exc:
        if exc.status is None:
            raise CheckFailed(str(exc)) from None
        return exc.status
    connection.close()
    return None


@check(
    "v2-hello",
    tried="the `hello` of two connections, and whether a second one comes on the first",
    rule="`hello` comes once, with version 2, at least 4 096 bytes of credit, one stream, and the formats.",
    section="hello, from OraServer",
    page=MESSAGES_PAGE,
)
async def hello(server: ServerUnderTest) -> Outcome:
    async with frames(server) as client, frames(server) as other:
        problems = [problem for each in (client.hello, other.hello) for problem in problems_of(each)]
        if problems:
            raise CheckFailed("; ".join(sorted(set(problems))))
        await client.open(await speech(server, "v2-hello")).accepted()
        if sum(isinstance(each, ServerHello) for each in client.received) > 1:
            raise CheckFailed("a second `hello` came on the same connection")
        given = client.hello
    said = f"credit {given.credit}, {given.streams} streams, {len(given.formats)} formats, keep_ms {given.keep_ms}"
    return ok(said + ", crc" * given.crc + ", played" * given.played)


def problems_of(given: ServerHello) -> list[str]:
    """What is wrong with a `hello`. Pure."""
    found = [] if given.version == 2 else [f"`version` must be 2, and is {given.version}"]
    if given.credit < MIN_CREDIT:
        found.append(f"`credit` must be at least {MIN_CREDIT} bytes, and is {given.credit}")
    if not set(given.formats) & set(FORMATS):
        found.append(f"`formats` has none of {', '.join(FORMATS)}: every utterance fails")
    return found


def _always() -> bool:
    return True


def _nothing() -> None:
    """Nobody waits for room: little is written."""


CHECKS: tuple[Check, ...] = (handshake, offers, token, hello)
