"""The time without audio of a server is limited: for the first audio, and for more."""

from __future__ import annotations

import pytest

from services.synth.engines.servers.audio_timeout import AudioTimeout

pytestmark = pytest.mark.unit

RATE = 24_000
LEAST = 2 * RATE // 50


def test_first_audio_has_another_limit_than_more() -> None:
    timeout = AudioTimeout(6.0, 2.0, RATE)
    timeout.waited(5.0)
    assert (timeout.left_s, timeout.limit_s) == (1.0, 6.0)
    timeout.given(LEAST)
    assert (timeout.left_s, timeout.limit_s) == (2.0, 2.0)
    timeout.waited(3.0)
    assert timeout.left_s < 0


def test_a_few_samples_now_and_then_do_not_restart_it() -> None:
    timeout = AudioTimeout(6.0, 6.0, RATE)
    for _ in range(10):
        timeout.waited(0.5)
        timeout.given(2)
    assert timeout.left_s == 1.0
    timeout.given(LEAST - 20)
    assert timeout.left_s == 6.0, "samples that came one by one do not count together"
