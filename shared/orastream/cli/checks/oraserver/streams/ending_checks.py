"""Checks of `end`, and of broken rules, after which the connection must end."""

from __future__ import annotations

from collections.abc import Callable

from orastream.base.foreign_text import cleaned
from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import MESSAGES_PAGE, STREAMS_PAGE, CheckFailed, Outcome, ok
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.cli.checks.oraserver.streams.client_stream import ClientStream
from orastream.cli.checks.oraserver.streams.frame_client import FrameClient, frames, speech
from orastream.cli.checks.oraserver.streams.speech import PART_BYTES
from orastream.contract.oraserver.from_bridge import AudioRange
from orastream.contract.oraserver.wire import pack_value

BROKEN_RULE = "Answer it with `error` with `fatal`, and close the connection (1002)."
FAR = 1 << 40
"""An offset that no limit allows."""
UNUSABLE: dict[str, bytes] = {
    "no msgpack": b"\xc1",
    "an array": pack_value([1, 2]),
    "a map without `t`": pack_value({"s": 1}),
    "`audio` without `at`": pack_value({"t": "audio", "s": 1, "data": b"a"}),
    "`audio` whose `data` is a string": pack_value({"t": "audio", "s": 1, "at": 0, "data": "a"}),
}


@check(
    "v2-end-twice",
    tried="`end` two times",
    rule="`end` may come again with the same size. It does not end the connection.",
    section="Errors and violations",
    page=STREAMS_PAGE,
)
async def end_twice(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-end-twice")
    async with frames(server) as client:
        stream = client.open(spoken)
        stream.send(0, 2_000)
        stream.end()
        stream.end()
        await stream.ack_of_all_sent()
        stream.send(2_000, spoken.size)
        await stream.delivered()
        stream.end()
        await client.read_all("v2-end-twice")
    return await kept(server, "the connection goes on", Sent(spoken.said))


@check(
    "v2-failed",
    tried="an utterance that ends as `failed`",
    rule="`failed`: the rest cannot be made. Acknowledge its size; it is delivered, and not complete.",
    section="end",
    page=MESSAGES_PAGE,
)
async def failed(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-failed")
    size = 4 * PART_BYTES
    async with frames(server) as client:
        stream = client.open(spoken)
        stream.send(0, size)
        stream.end("failed", size=size, code="engine_failed")
        ack = await stream.ack_of_all_sent()
        if (ack.upto, ack.size) != (size, size):
            raise CheckFailed(f"the ack has upto {ack.upto} and size {ack.size}, not {size}")
    return await kept(server, "taken", Sent(spoken.said, complete=False, stop=4))


async def _ends(server: ServerUnderTest, name: str, broken: Callable[[FrameClient, ClientStream], None]) -> Outcome:
    """What happens to a connection on which `broken` breaks a rule, while a stream is open."""
    spoken = await speech(server, name)
    async with frames(server) as client:
        stream = client.open(spoken)
        await stream.accepted()
        stream.send(0, PART_BYTES)
        await stream.ack_of_all_sent()
        broken(client, stream)
        try:
            lost = await client.wait_until_lost()
        except CheckFailed:
            raise CheckFailed("the connection goes on") from None
        fatal = client.fatal
    async with frames(server) as client:
        await client.read_all(name)
    if fatal is None:
        return Outcome("risk", f"{lost}, without `error`: the bridge's log does not say why")
    if "1002" not in str(lost):
        return Outcome("risk", f"`error` came, but then: {lost}, not 1002")
    return ok(f"`error` with {cleaned(fatal.code)}, then {lost}")


@check(
    "v2-text-frame",
    tried="a text frame",
    rule=f"All frames are binary. {BROKEN_RULE}",
    section="Errors and violations",
    page=STREAMS_PAGE,
)
async def text_frame(server: ServerUnderTest) -> Outcome:
    return await _ends(server, "v2-text-frame", lambda client, _: client.send_text(b'{"t":"ping"}'))


@check(
    "v2-bad-frame",
    tried=f"frames that cannot be used: {', '.join(UNUSABLE)}",
    rule=f"A frame is a map that has its keys, each with its type. {BROKEN_RULE}",
    section="Errors and violations",
    page=STREAMS_PAGE,
)
async def bad_frame(server: ServerUnderTest) -> Outcome:
    worst: Outcome | None = None
    for number, (what, payload) in enumerate(UNUSABLE.items()):
        try:
            outcome = await _ends(server, f"v2-bad-frame-{number}", _sends(payload))
        except CheckFailed as exc:
            raise CheckFailed(f"{what}: {exc}") from None
        if worst is None or outcome.level != "ok":
            worst = Outcome(outcome.level, f"{what}: {outcome.happened}")
    assert worst is not None, "there are some"
    return worst


def _sends(payload: bytes) -> Callable[[FrameClient, ClientStream], None]:
    return lambda client, _: client.send_payload(payload)


@check(
    "v2-unknown-stream",
    tried="`audio` of a stream that was never opened",
    rule=f"A stream begins with `open`. {BROKEN_RULE}",
    section="Errors and violations",
    page=STREAMS_PAGE,
)
async def unknown_stream(server: ServerUnderTest) -> Outcome:
    return await _ends(
        server, "v2-unknown-stream", lambda client, stream: client.send(AudioRange(stream.number + 7, 0, b"a"))
    )


@check(
    "v2-beyond-limit",
    tried="`audio` far above `limit`",
    rule=f"`audio` at or above `limit` must not come. {BROKEN_RULE}",
    section="Errors and violations",
    page=STREAMS_PAGE,
)
async def beyond_limit(server: ServerUnderTest) -> Outcome:
    return await _ends(server, "v2-beyond-limit", lambda _, stream: stream.send(FAR, FAR + 1, data=b"a"))


@check(
    "v2-beyond-size",
    tried="`end`, and then `audio` above its size",
    rule=f"`audio` above `size` must not come. {BROKEN_RULE}",
    section="Errors and violations",
    page=STREAMS_PAGE,
)
async def beyond_size(server: ServerUnderTest) -> Outcome:
    def broken(_: FrameClient, stream: ClientStream) -> None:
        stream.end(size=2_000)
        stream.send(2_000, 2_500)

    return await _ends(server, "v2-beyond-size", broken)


@check(
    "v2-other-size",
    tried="`end`, and then `end` with another size",
    rule=f"The size of a file does not change. {BROKEN_RULE}",
    section="Errors and violations",
    page=STREAMS_PAGE,
)
async def other_size(server: ServerUnderTest) -> Outcome:
    def broken(_: FrameClient, stream: ClientStream) -> None:
        stream.end(size=2_000)
        stream.end(size=2_500)

    return await _ends(server, "v2-other-size", broken)


CHECKS: tuple[Check, ...] = (
    end_twice,
    failed,
    text_frame,
    bad_frame,
    unknown_stream,
    beyond_limit,
    beyond_size,
    other_size,
)
