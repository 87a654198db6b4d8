"""The limits of one caller: what is refused with which words, and what a refusal leaves uncounted."""

from __future__ import annotations

import contextlib

import pytest

from orastream.contract.errors import InvalidRequest
from services.gateway.access.caller_limits import CallerLimits
from services.gateway.access.policy import ApiCaller
from services.gateway.http.refusals import Reason
from services.gateway.http.responses import Answer, Refused
from tests.support.limits_clock import ManualClock, manual_clock

pytestmark = pytest.mark.unit

SHOP, BOT, ADDRESS = ApiCaller("shop", "shop"), ApiCaller("bot", "bot"), ApiCaller("anonymous", "192.0.2.1")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    return manual_clock(monkeypatch)


class Limited:
    """Limits with what they have counted as refused."""

    def __init__(self, requests: int | None = None, characters: int | None = None, concurrent: int | None = None):
        self.reasons: list[Reason] = []
        self.limits = CallerLimits(requests, characters, concurrent, refused=self.reasons.append)

    async def refusal(self, caller: ApiCaller, characters: int = 0) -> Answer | None:
        try:
            await self.limits.take(caller, characters)
        except Refused as exc:
            return exc.answer
        return None


async def test_requests_beyond_the_limit_are_refused_with_limit_value_and_time(clock: ManualClock) -> None:
    limited = Limited(requests=3)
    assert [await limited.refusal(SHOP) for _ in range(3)] == [None] * 3
    refused = await limited.refusal(SHOP)
    assert refused is not None
    assert (refused.status, refused.outcome, refused.body["error"]["retryable"]) == (429, "rate_limited", True)
    after_s = int(refused.headers["Retry-After"])
    assert 1 <= after_s <= 120
    message = refused.body["error"]["message"]
    assert message == (
        f"GATEWAY_REQUESTS_PER_MINUTE: 3 requests a minute of the caller shop are allowed; try again in {after_s} s"
    )
    assert await limited.refusal(BOT) is None
    with pytest.raises(Refused):
        await limited.limits.check(SHOP)
    clock.now += after_s
    await limited.limits.check(SHOP)
    assert await limited.refusal(SHOP) is None
    assert limited.reasons == ["requests_per_minute"] * 2


async def test_without_keys_the_message_names_the_address(clock: ManualClock) -> None:
    limited = Limited(requests=1)
    assert await limited.refusal(ADDRESS) is None
    refused = await limited.refusal(ADDRESS)
    assert refused is not None and "the address 192.0.2.1" in refused.body["error"]["message"]
    assert await limited.refusal(ApiCaller("anonymous", "192.0.2.2")) is None


async def test_request_refused_for_its_characters_does_not_count_as_a_request(clock: ManualClock) -> None:
    limited = Limited(requests=2, characters=100)
    assert await limited.refusal(SHOP, 90) is None
    for _ in range(10):
        refused = await limited.refusal(SHOP, 20)
        assert refused is not None and "GATEWAY_CHARACTERS_PER_MINUTE: 100" in refused.body["error"]["message"]
    assert await limited.refusal(SHOP, 10) is None
    assert limited.reasons == ["characters_per_minute"] * 10


async def test_request_refused_as_a_request_does_not_count_its_characters(clock: ManualClock) -> None:
    limited = Limited(requests=1, characters=100)
    assert await limited.refusal(SHOP, 10) is None
    for _ in range(10):
        assert await limited.refusal(SHOP, 50) is not None
    clock.now += 60
    assert limited.reasons == ["requests_per_minute"] * 10
    clock.now += 31
    assert await limited.refusal(SHOP, 90) is None


async def test_text_longer_than_a_minute_allows_is_refused_for_good_and_counts_nothing(clock: ManualClock) -> None:
    limited = Limited(requests=1, characters=100)
    with pytest.raises(InvalidRequest, match="text: has 101 characters, but GATEWAY_CHARACTERS_PER_MINUTE allows 100"):
        await limited.limits.take(SHOP, 101)
    assert limited.reasons == ["characters_per_minute"]
    assert await limited.refusal(SHOP, 100) is None


async def test_requests_at_the_same_time_are_limited_and_leave_nothing_behind() -> None:
    limited = Limited(concurrent=2)
    with contextlib.ExitStack() as places:
        for _ in range(2):
            places.enter_context(limited.limits.place(SHOP))
        with pytest.raises(Refused) as refused, limited.limits.place(SHOP):
            pass
        assert refused.value.answer.status == 429
        assert refused.value.answer.headers == {"Retry-After": "1"}
        assert refused.value.answer.body["error"]["message"] == (
            "GATEWAY_CONCURRENT: 2 requests of the caller shop at the same time are allowed; try again in 1 s"
        )
        with limited.limits.place(BOT):
            pass
    with limited.limits.place(SHOP):
        pass
    assert limited.reasons == ["concurrent"]
    assert not limited.limits._in_progress, "an address that has left is still counted"


async def test_without_limits_nothing_is_refused() -> None:
    limited = Limited()
    with contextlib.ExitStack() as places:
        for _ in range(1000):
            places.enter_context(limited.limits.place(SHOP))
            assert await limited.refusal(SHOP, 10_000) is None
