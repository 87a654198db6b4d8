"""How the text of a Pipecat turn becomes requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.integrations.pipecat_turns import SpokenTurn, TurnRequest

pytestmark = pytest.mark.unit


def written(request: TurnRequest) -> list[str | None]:
    """The text of a request so far; None at the end if it is complete."""
    more = [request.more.get_nowait() for _ in range(request.more.qsize())]
    return [request.first, *more]


def test_pieces_of_a_turn_are_one_request_until_its_text_is_complete() -> None:
    turn = SpokenTurn()
    request = turn.write("Hello", {"voice": "a"}, 100)
    assert request is not None and request.options == {"voice": "a"}
    assert turn.write(" there.", {"voice": "ignored"}, 100) is None
    turn.end_request()
    turn.end_request()
    assert written(request) == ["Hello", " there.", None]
    second = turn.write("More", {"voice": "b"}, 100)
    assert second is not None and second.options == {"voice": "b"}


@given(st.lists(st.text(min_size=1, max_size=12), max_size=30), st.integers(12, 40))
def test_no_request_is_longer_than_the_node_takes_and_no_text_is_lost(pieces: list[str], max_chars: int) -> None:
    turn = SpokenTurn()
    requests = [request for piece in pieces if (request := turn.write(piece, {}, max_chars))]
    turn.end_request()
    texts = [written(request) for request in requests]
    assert all(text[-1] is None and None not in text[:-1] for text in texts)
    joined = ["".join(piece for piece in text if piece is not None) for text in texts]
    assert "".join(joined) == "".join(pieces) and all(len(text) <= max_chars for text in joined)


def test_a_piece_that_is_longer_than_the_limit_is_a_request_alone() -> None:
    """The node refuses it, and says why."""
    turn = SpokenTurn()
    short, long = turn.write("ab", {}, 3), turn.write("abcd", {}, 3)
    assert short is not None and written(short) == ["ab", None] and long is not None and long.first == "abcd"


async def test_a_turn_has_ended_when_its_text_is_complete_and_all_requests_are_spoken() -> None:
    turn, task = SpokenTurn(), asyncio.create_task(asyncio.sleep(0))
    tasks: set[asyncio.Task[Any]] = turn.tasks
    tasks.add(task)
    assert not turn.ended
    turn.complete = True
    assert not turn.ended
    tasks.discard(task)
    assert turn.ended
    await task
