"""Asks the gateway for reports and audio, for a caller that may not read JetStream (`contract/reads.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from orastream.broker import Broker, Headers
from orastream.contract.errors import InvalidRequest, NodeUnavailable, NoResponders, Undecodable
from orastream.contract.messages import Report
from orastream.contract.reads import ERROR, ERROR_CODE, NEXT, ReadQuery
from orastream.jetstream.api import Stored
from orastream.jetstream.place import place_of

ANSWER_S = 3.0
"""Time for the answer, beyond the `waitSeconds` of the query. Then the gateway that took it is taken for dead."""


class PageEnd(int):
    """The end of a page. Its value is the `after` of the next one."""


async def get_report(broker: Broker, subject: str, wait_s: float = 0.0) -> Report | None:
    """Return the answer on a subject of `Names.report_get`: the last report of a request, or None if it is unknown.

    With `wait_s` it is the final report, if that comes by then.

    Raises NoResponders when no gateway runs, else NodeUnavailable.
    """
    query = ReadQuery(wait_s=wait_s).encode()
    try:
        data, headers = await broker.request(subject, query, timeout_s=wait_s + ANSWER_S)
    except NoResponders:
        raise _no_gateway(subject) from None
    if headers.get(ERROR_CODE) == "404":
        return None
    _raise_error(subject, headers)
    try:
        return Report.decode(data)
    except (Undecodable, ValueError):
        raise NodeUnavailable(f"{subject}: the answer is no report; does another service answer?") from None


async def read_page(broker: Broker, subject: str, query: ReadQuery) -> AsyncGenerator[Stored | PageEnd, None]:
    """Yield the messages of one page, then a PageEnd. Ends without a PageEnd after a message that was lost on the way.

    Raises NoResponders when no gateway runs, InvalidRequest, else NodeUnavailable, also when nothing comes for so long
    that the gateway must have died. Then ask again with the sequence of the last message.
    """
    arrived: asyncio.Queue[tuple[bytes, Headers]] = asyncio.Queue()

    def on_message(_subject: str, _reply: str, data: bytes, headers: Headers) -> None:
        arrived.put_nowait((data, headers))  # a page has a limited size

    inbox = broker.open_inbox(on_message)
    last = query.after
    try:
        await broker.publish(subject, query.encode(), reply=inbox)
        while True:
            try:
                async with asyncio.timeout(query.wait_s + ANSWER_S):
                    data, headers = await arrived.get()
            except TimeoutError:
                raise NodeUnavailable(f"no answer on {subject} within {query.wait_s + ANSWER_S:g} s") from None
            if headers.status == "503":
                raise _no_gateway(subject)
            _raise_error(subject, headers)
            if (after := headers.get(NEXT)) is not None:
                yield PageEnd(_sequence(subject, after))
                return
            try:
                stored_subject, sequence, time, before = place_of(headers)
            except (KeyError, ValueError):
                raise NodeUnavailable(
                    f"{subject}: an answer is no stored message; does another service answer?"
                ) from None
            if last is not None and before != last:
                return
            last = sequence
            yield Stored(stored_subject, sequence, time, data, headers)
    finally:
        broker.close_inbox(inbox)


def _no_gateway(subject: str) -> NoResponders:
    fix = "check TTS_PREFIX, that a gateway runs, and that this user may ask it"
    if subject.endswith(".reports.read"):
        fix += "; behind a front door ask each node (tts.0, …): the front has no list of all sessions"
    return NoResponders(f"this client cannot read the streams, and nobody answers on {subject}: {fix}")


def _raise_error(subject: str, headers: Headers) -> None:
    code = headers.get(ERROR_CODE)
    if code is None:
        return
    text = headers.get(ERROR) or "an error"
    if code == "400":
        field, _, problem = text.partition(": ")
        raise InvalidRequest(field, problem)
    raise NodeUnavailable(f"{subject}: {text} ({code})")


def _sequence(subject: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise NodeUnavailable(f"{subject}: the end of a page has no sequence; does another service answer?") from None
