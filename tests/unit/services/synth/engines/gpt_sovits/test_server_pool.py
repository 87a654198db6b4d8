"""Which server speaks next: one sentence at a time on each, the least recently used one, no failed ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.gpt_sovits.server_pool import NO_WEIGHTS, ServerPool

pytestmark = pytest.mark.unit

URLS = ["http://a", "http://b", "http://c"]


def took(pool: ServerPool, now: float, **options: object) -> str | None:
    server = pool.take(options.pop("weights", NO_WEIGHTS), now, **options)  # type: ignore[arg-type]
    return None if server is None else server.url


def test_each_in_turn_and_one_sentence_at_a_time() -> None:
    pool = ServerPool(URLS)
    a, b, c = pool.servers
    assert [took(pool, now) for now in range(4)] == [*URLS, None]
    pool.free(c)
    pool.free(a)
    assert [took(pool, now) for now in range(4, 7)] == ["http://a", "http://c", None], "the least recently used"
    pool.free(b)
    assert took(pool, 7, but={"http://b"}) is None


def test_weights_that_are_there_come_before_the_turn() -> None:
    pool = ServerPool(URLS)
    b = pool.servers[1]
    weights = ("a.ckpt", "a.pth")
    b.used_at = 5
    pool.weights_loaded(b, weights)
    assert took(pool, 6, weights=weights) == "http://b"
    assert took(pool, 7, weights=weights) == "http://a", "it is better to load some than to wait"


def test_an_ill_server_is_left_out_and_asked_with_growing_waits() -> None:
    pool = ServerPool(URLS[:1])
    (a,) = pool.servers
    pool.weights_loaded(a, ("x", "y"))
    pool.failed(a, 100.0)
    assert took(pool, 100.0) is None and pool.healthy == []
    assert a.ask_at == 100.0, "at once"
    assert a.weights == NO_WEIGHTS, "it may have been started anew"
    waits = []
    now = 100.0
    for _ in range(8):
        pool.failed(a, now)
        waits.append(a.ask_at - now)
        now = a.ask_at
    assert waits == [0.5, 1, 2, 4, 8, 10, 10, 10]
    assert pool.answered(a) and not pool.answered(a), "news only once"
    assert took(pool, now) == "http://a"
    pool.failed(a, now)
    assert a.ask_at == now, "the waits begin anew"


@given(st.lists(st.tuples(st.sampled_from(["take", "free", "fail", "answer"]), st.integers(0, 2)), max_size=60))
def test_never_two_sentences_and_never_an_ill_server(steps: list[tuple[str, int]]) -> None:
    pool = ServerPool(URLS)
    ours: set[str] = set()
    for now, (step, number) in enumerate(steps):
        server = pool.servers[number]
        if step == "take":
            taken = pool.take(NO_WEIGHTS, float(now))
            idle = [s for s in pool.servers if s.healthy and s.url not in ours]
            if taken is None:
                assert idle == []
            else:
                assert taken in idle and taken.healthy
                ours.add(taken.url)
        elif step == "free":
            pool.free(server)
            ours.discard(server.url)
        elif step == "fail":
            pool.failed(server, float(now))
        else:
            pool.answered(server)
