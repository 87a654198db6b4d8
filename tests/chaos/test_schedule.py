"""The schedule of the chaos suite: pure, seeded, within its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.composed.schedule import (
    KINDS,
    LOST_DATA_ALONE_S,
    QUIET_END_S,
    Fault,
    Setting,
    longest_s,
    schedule,
    targets,
)

pytestmark = pytest.mark.unit

SERVICES = tuple(f"{service}-{n}" for service in ("synth", "ws_bridge", "http_bridge") for n in (1, 2))
SETTINGS = st.builds(Setting, st.just(SERVICES), st.sampled_from((1, 3)), st.booleans())
SEEDS = st.integers(0, 1 << 40)


def end(fault: Fault) -> float:
    """When the fault has ended at the latest."""
    return fault.at + longest_s(fault.kind, fault.seconds)


@given(SEEDS, SETTINGS)
def test_the_same_seed_gives_the_same_schedule(seed: int, setting: Setting) -> None:
    first = schedule(seed, 120, setting)
    assert first == schedule(seed, 120, setting)
    assert first != schedule(seed + 1, 120, setting)


@given(SEEDS, SETTINGS, st.floats(5, 600))
def test_each_fault_has_ended_before_the_end(seed: int, setting: Setting, seconds: float) -> None:
    faults = schedule(seed, seconds, setting)
    assert all(end(fault) <= seconds - QUIET_END_S + 0.002 for fault in faults)
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
            ends[fault.target] = end(fault) - 0.002


@given(SEEDS)
def test_a_server_of_a_cluster_loses_its_data_alone(seed: int) -> None:
    faults = schedule(seed, 600, Setting(SERVICES, 3, tmpfs=True))
    for lost in (fault for fault in faults if fault.kind == "lost_data"):
        for other in faults:
            if other is not lost and other.kind.startswith(("server_", "leader_", "disk_", "route_", "lost_")):
                apart = other.at >= end(lost) + LOST_DATA_ALONE_S - 0.002
                assert apart or end(other) <= lost.at - LOST_DATA_ALONE_S + 0.002


@given(SEEDS)
def test_only_one_server_is_disturbed_at_a_time(seed: int) -> None:
    """Rolling restarts were booked for 3 s and took 20 s: other servers were killed, and lost their data, meanwhile."""
    faults = schedule(seed, 600, Setting(SERVICES, 3, tmpfs=True))
    servers = [fault for fault in faults if fault.kind.startswith(("server_", "leader_", "disk_", "lost_"))]
    for fault, later in zip(servers, servers[1:], strict=False):
        assert later.at >= end(fault) - 0.002


@given(SEEDS)
def test_a_handover_is_alone_on_the_links_and_processes_of_its_service(seed: int) -> None:
    faults = schedule(seed, 600, Setting(SERVICES))
    for handover in (fault for fault in faults if fault.kind == "handover"):
        for other in faults:
            touches = "ws_bridge" in other.target and other is not handover
            if touches and other.kind not in ("delete_consumer", "stepdown"):
                assert other.at >= end(handover) - 0.002 or end(other) <= handover.at + 0.002, f"{handover} {other}"


@given(SEEDS, st.sampled_from((1, 3)))
def test_without_tmpfs_only_the_full_disks_are_missing(seed: int, servers: int) -> None:
    """So a seed means the same for everybody, also without the right to mount."""
    faults = schedule(seed, 600, Setting(SERVICES, servers, tmpfs=True))
    without = schedule(seed, 600, Setting(SERVICES, servers))
    assert without == [fault for fault in faults if fault.kind != "disk_full"]


def test_ten_minutes_have_at_least_two_hundred_faults_of_nearly_all_kinds() -> None:
    for setting in (Setting(SERVICES, 1, tmpfs=True), Setting(SERVICES, 3, tmpfs=True)):
        faults = schedule(1, 600, setting)
        possible = {kind for kind in KINDS if targets(kind, setting)}
        assert len(faults) >= 200
        assert len(possible - {fault.kind for fault in faults}) <= 3


def test_only_draws_from_the_given_kinds() -> None:
    assert {fault.kind for fault in schedule(1, 200, Setting(SERVICES), ["kill", "stop"])} == {"kill", "stop"}
