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


def test_pool_takes_the_least_recently_used_server_for_one_sentence_at_a_time() -> None:
    pool = ServerPool(URLS)
    a, b, c = pool.servers
    assert [took(pool, now) for now in range(4)] == [*URLS, None]
    pool.free(c)
    pool.free(a)
    assert [took(pool, now) for now in range(4, 7)] == ["http://a", "http://c", None], (
        "the pool did not take the least recently used server"
    )
    pool.free(b)
    assert took(pool, 7, but={"http://b"}) is None


def test_pool_prefers_a_server_that_has_the_weights_loaded() -> None:
    pool = ServerPool(URLS)
    b = pool.servers[1]
    weights = ("a.ckpt", "a.pth")
    b.used_at = 5
    pool.weights_loaded(b, weights)
    assert took(pool, 6, weights=weights) == "http://b"
    assert took(pool, 7, weights=weights) == "http://a", (
        "the pool waited, instead of taking a server that must load the weights"
    )


def test_pool_skips_a_failed_server_and_checks_it_with_growing_delays() -> None:
    pool = ServerPool(URLS[:1])
    (a,) = pool.servers
    pool.weights_loaded(a, ("x", "y"))
    pool.failed(a, 100.0)
    assert took(pool, 100.0) is None and pool.healthy == []
    assert a.ask_at == 100.0, "a failed server is not checked at once"
    assert a.weights == NO_WEIGHTS, (
        "the weights of a failed server still count as loaded, although it may have restarted"
    )
    waits = []
    now = 100.0
    for _ in range(8):
        pool.failed(a, now)
        waits.append(a.ask_at - now)
        now = a.ask_at
    assert waits == [0.5, 1, 2, 4, 8, 10, 10, 10]
    assert pool.answered(a) and not pool.answered(a), "a recovery was reported twice"
    assert took(pool, now) == "http://a"
    pool.failed(a, now)
    assert a.ask_at == now, "the delays did not start again from the first one"


@given(st.lists(st.tuples(st.sampled_from(["take", "free", "fail", "answer"]), st.integers(0, 2)), max_size=60))
def test_pool_never_takes_a_busy_or_failed_server(steps: list[tuple[str, int]]) -> None:
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
