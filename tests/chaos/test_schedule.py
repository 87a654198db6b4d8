"""The schedule of the chaos suite: pure, seeded, within its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.composed.schedule import KINDS, LOST_DATA_ALONE_S, QUIET_END_S, Setting, schedule, targets

pytestmark = pytest.mark.unit

SERVICES = tuple(f"{service}-{n}" for service in ("synth", "ws_bridge", "http_bridge") for n in (1, 2))
SETTINGS = st.builds(Setting, st.just(SERVICES), st.sampled_from((1, 3)), st.booleans())
SEEDS = st.integers(0, 1 << 40)


@given(SEEDS, SETTINGS)
def test_the_same_seed_gives_the_same_schedule(seed: int, setting: Setting) -> None:
    first = schedule(seed, 120, setting)
    assert first == schedule(seed, 120, setting)
    assert first != schedule(seed + 1, 120, setting)


@given(SEEDS, SETTINGS, st.floats(5, 600))
def test_each_fault_has_ended_before_the_end(seed: int, setting: Setting, seconds: float) -> None:
    faults = schedule(seed, seconds, setting)
    assert all(fault.at + fault.seconds <= seconds - QUIET_END_S + 0.002 for fault in faults)
    assert faults == sorted(faults, key=lambda fault: fault.at)
    assert all(fault.target in targets(fault.kind, setting) for fault in faults)


@given(SEEDS)
def test_faults_overlap_but_not_on_one_process(seed: int) -> None:
    faults = schedule(seed, 120, Setting(SERVICES))
    assert any(later.at < fault.at + fault.seconds for fault, later in zip(faults, faults[1:], strict=False))
    ends: dict[str, float] = {}
    for fault in faults:
        if fault.kind in ("kill", "stop", "restart"):
            assert fault.at >= ends.get(fault.target, 0.0)
            ends[fault.target] = fault.at + fault.seconds


@given(SEEDS)
def test_a_server_of_a_cluster_loses_its_data_alone(seed: int) -> None:
    faults = schedule(seed, 600, Setting(SERVICES, 3, tmpfs=True))
    for lost in (fault for fault in faults if fault.kind == "lost_data"):
        for other in faults:
            if other is not lost and other.kind.startswith(("server_", "disk_", "route_", "lost_")):
                apart = other.at >= lost.at + lost.seconds + LOST_DATA_ALONE_S - 0.002
                assert apart or other.at + other.seconds <= lost.at - LOST_DATA_ALONE_S + 0.002


def test_ten_minutes_have_at_least_two_hundred_faults_of_nearly_all_kinds() -> None:
    for setting in (Setting(SERVICES, 1, tmpfs=True), Setting(SERVICES, 3, tmpfs=True)):
        faults = schedule(1, 600, setting)
        possible = {kind for kind in KINDS if targets(kind, setting)}
        assert len(faults) >= 200
        assert len(possible - {fault.kind for fault in faults}) <= 3


def test_only_draws_from_the_given_kinds() -> None:
    assert {fault.kind for fault in schedule(1, 200, Setting(SERVICES), ["kill", "stop"])} == {"kill", "stop"}
