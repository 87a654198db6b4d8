"""Which server speaks next: one sentence at a time on each, the least recently used, the ill ones left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.gpt_sovits.roster import NO_WEIGHTS, Roster

pytestmark = pytest.mark.unit

URLS = ["http://a", "http://b", "http://c"]


def took(roster: Roster, now: float, **options: object) -> str | None:
    server = roster.take(options.pop("weights", NO_WEIGHTS), now, **options)  # type: ignore[arg-type]
    return None if server is None else server.url


def test_each_in_turn_and_one_sentence_at_a_time() -> None:
    roster = Roster(URLS)
    a, b, c = roster.servers
    assert [took(roster, now) for now in range(4)] == [*URLS, None]
    roster.free(c)
    roster.free(a)
    assert [took(roster, now) for now in range(4, 7)] == ["http://a", "http://c", None], "the least recently used"
    roster.free(b)
    assert took(roster, 7, but={"http://b"}) is None


def test_weights_that_are_there_come_before_the_turn() -> None:
    roster = Roster(URLS)
    b = roster.servers[1]
    weights = ("a.ckpt", "a.pth")
    b.used_at = 5
    roster.told(b, weights)
    assert took(roster, 6, weights=weights) == "http://b"
    assert took(roster, 7, weights=weights) == "http://a", "it is better to load some than to wait"


def test_an_ill_server_is_left_out_and_asked_with_growing_waits() -> None:
    roster = Roster(URLS[:1])
    (a,) = roster.servers
    roster.told(a, ("x", "y"))
    roster.failed(a, 100.0)
    assert took(roster, 100.0) is None and roster.healthy == []
    assert a.ask_at == 100.0, "at once"
    assert a.weights == NO_WEIGHTS, "it may have been started anew"
    waits = []
    now = 100.0
    for _ in range(8):
        roster.failed(a, now)
        waits.append(a.ask_at - now)
        now = a.ask_at
    assert waits == [0.5, 1, 2, 4, 8, 10, 10, 10]
    assert roster.answered(a) and not roster.answered(a), "news only once"
    assert took(roster, now) == "http://a"
    roster.failed(a, now)
    assert a.ask_at == now, "the waits begin anew"


@given(st.lists(st.tuples(st.sampled_from(["take", "free", "fail", "answer"]), st.integers(0, 2)), max_size=60))
def test_never_two_sentences_and_never_an_ill_server(steps: list[tuple[str, int]]) -> None:
    roster = Roster(URLS)
    ours: set[str] = set()
    for now, (step, number) in enumerate(steps):
        server = roster.servers[number]
        if step == "take":
            taken = roster.take(NO_WEIGHTS, float(now))
            idle = [s for s in roster.servers if s.healthy and s.url not in ours]
            if taken is None:
                assert idle == []
            else:
                assert taken in idle and taken.healthy
                ours.add(taken.url)
        elif step == "free":
            roster.free(server)
            ours.discard(server.url)
        elif step == "fail":
            roster.failed(server, float(now))
        else:
            roster.answered(server)
