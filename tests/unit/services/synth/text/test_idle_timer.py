"""The idle timeout of a streamed text."""

from __future__ import annotations

import pytest

from services.synth.text.idle_timer import IdleTimer

pytestmark = pytest.mark.unit


def test_timer_counts_from_the_last_piece() -> None:
    idle = IdleTimer(10, 100)
    idle.waits(100)
    assert idle.over_at == 110
    idle.restart(107)
    assert idle.over_at == 117


def test_timer_does_not_count_time_in_which_synth_does_not_wait() -> None:
    """A piece came at 101, and synth spoke its sentence until 130."""
    idle = IdleTimer(10, 100)
    idle.restart(101)
    idle.waits(130)
    assert idle.over_at == 140


def test_timer_does_not_get_longer_when_a_wait_begins_again_after_a_piece() -> None:
    idle = IdleTimer(10, 100)
    idle.restart(105)
    idle.waits(105)
    assert idle.over_at == 115
