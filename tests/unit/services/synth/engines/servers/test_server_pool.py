"""Which server speaks next: the least busy, least recently used one, and no failed ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.servers.server_pool import ServerPool

pytestmark = pytest.mark.unit

URLS = ["http://a", "http://b", "http://c"]


def took(pool: ServerPool, now: float, **options: object) -> str | None:
    server = pool.take(options.pop("wanted", None), now, **options)  # type: ignore[arg-type]
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


def test_pool_prefers_a_server_that_has_the_has_loaded() -> None:
    pool = ServerPool(URLS)
    b = pool.servers[1]
    weights = ("a.ckpt", "a.pth")
    b.used_at = 5
    pool.has_loaded(b, weights)
    assert took(pool, 6, wanted=weights) == "http://b"
    assert took(pool, 7, wanted=weights) == "http://a", (
        "the pool waited, instead of taking a server that must load the weights"
    )


def test_pool_skips_a_failed_server_and_checks_it_with_growing_delays() -> None:
    pool = ServerPool(URLS[:1])
    (a,) = pool.servers
    pool.has_loaded(a, ("x", "y"))
    pool.failed(a, 100.0, "died")
    assert took(pool, 100.0) is None and pool.healthy == []
    assert a.ask_at == 100.0, "a failed server is not checked at once"
    assert a.loaded is None, "the weights of a failed server still count as loaded, although it may have restarted"
    waits = []
    now = 100.0
    for _ in range(8):
        pool.failed(a, now, "died")
        waits.append(a.ask_at - now)
        now = a.ask_at
    assert waits == [0.5, 1, 2, 4, 8, 10, 10, 10]
    assert pool.answered(a) and not pool.answered(a), "a recovery was reported twice"
    assert took(pool, now) == "http://a"
    pool.failed(a, now, "died")
    assert a.ask_at == now, "the delays did not start again from the first one"


STEPS = ["take", "free", "fail", "sentence fails", "answer", "spoke", "rest"]


@given(st.integers(1, 3), st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2)), max_size=60))
def test_pool_takes_a_healthy_server_with_a_place_whenever_there_is_one(
    at_once: int, steps: list[tuple[str, int]]
) -> None:
    pool = ServerPool(URLS, at_once=at_once)
    ours = dict.fromkeys(URLS, 0)
    rests = dict.fromkeys(URLS, 0.0)
    for number, (step, which) in enumerate(steps):
        now, server = float(number), pool.servers[which]
        if step == "take":
            there = [s for s in pool.servers if s.healthy and ours[s.url] < at_once and rests[s.url] <= now]
            taken = pool.take(None, now)
            assert (taken is None) == (there == [])
            if taken is not None:
                assert taken in there
                suspects = [s for s in there if s.suspect_until > now]
                assert taken not in suspects or suspects == there, "a suspect server came before another one"
                ours[taken.url] += 1
        elif step == "free" and ours[server.url]:
            pool.free(server)
            ours[server.url] -= 1
        elif step == "fail":
            pool.failed(server, now, "died")
        elif step == "sentence fails":
            pool.sentence_failed(server, now, "answered 500")
        elif step == "answer":
            pool.answered(server)
        elif step == "spoke":
            pool.spoke(server)
        elif step == "rest":
            pool.rest(server, now + 5)
            rests[server.url] = max(rests[server.url], now + 5)
        assert [s.speaking for s in pool.servers] == list(ours.values())
        assert all(bool(s.problem) != s.healthy for s in pool.servers)


def test_pool_takes_the_server_that_speaks_the_fewest_sentences() -> None:
    pool = ServerPool(URLS, at_once=2)
    a, b, _ = pool.servers
    assert [took(pool, now) for now in range(7)] == [*URLS, *URLS, None]
    pool.free(b)
    pool.free(b)
    pool.free(a)
    assert [took(pool, now) for now in range(7, 11)] == ["http://b", "http://a", "http://b", None]


def test_pool_prefers_other_servers_for_a_while_after_a_failed_sentence() -> None:
    """A server that answers checks, but fails or stalls each sentence, would else get every second one."""
    pool = ServerPool(URLS[:2], at_once=8)
    a, b = pool.servers
    for number, suspect_s in enumerate([1, 2, 4, 8, 16, 30, 30]):
        now = 1_000.0 * (number + 1)
        b.used_at = now
        assert took(pool, now) == "http://a", "a server that is no longer suspect was not tried again"
        pool.free(a)
        pool.sentence_failed(a, now, "answered 500")
        pool.answered(a)
        assert [took(pool, now + suspect_s - 0.01) for _ in range(4)] == ["http://b"] * 4
        for _ in range(4):
            pool.free(b)
    pool.spoke(a)
    b.used_at = now + 1
    assert took(pool, now + 2) == "http://a", "a sentence that was spoken did not end the suspicion"


def test_pool_uses_a_suspect_server_if_no_other_one_is_free() -> None:
    pool = ServerPool(URLS[:2])
    a, _ = pool.servers
    pool.sentence_failed(a, 0.0, "answered 500")
    pool.answered(a)
    assert [took(pool, 0.1) for _ in range(3)] == ["http://b", "http://a", None]


def test_sentences_that_fail_together_count_as_one_failure() -> None:
    pool = ServerPool(URLS[:1], at_once=8)
    (a,) = pool.servers
    for _ in range(8):
        pool.sentence_failed(a, 10.0, "died")
    assert a.ask_at == 10.0 and a.suspect_until == 11.0 and a.problem == "died"
    pool.answered(a)
    assert a.problem == ""


def test_resting_server_gets_no_sentence_and_stays_healthy() -> None:
    pool = ServerPool(URLS[:2])
    a, b = pool.servers
    pool.rest(a, 5.0)
    pool.rest(a, 3.0)
    assert pool.healthy == [a, b] and pool.next_rest_end(1.0) == 5.0 and pool.next_rest_end(5.0) is None
    assert [took(pool, 4.9), took(pool, 4.9), took(pool, 5.0)] == ["http://b", None, "http://a"]
