"""How long a request would wait, from what the synths say about their load."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.errors import Undecodable
from orastream.contract.load import LEAST_WAIT_S, LIFE_S, UNSEEN_S, NodeLoad, SynthLoad

pytestmark = pytest.mark.unit

LOADS = st.builds(
    SynthLoad,
    synth=st.sampled_from(["a", "b", "c"]),
    slots=st.integers(0, 8),
    free=st.integers(0, 8),
    work_s=st.floats(0, 100).map(lambda seconds: round(seconds, 3)),
    mean_work_s=st.floats(0, 10).map(lambda seconds: round(seconds, 3)),
)


@given(LOADS)
def test_encoded_load_decodes_to_the_same(load: SynthLoad) -> None:
    assert SynthLoad.decode(load.encode()) == load


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"synth":"a"}',
        b'{"synth":"","slots":1,"free":0,"workSeconds":0,"meanWorkSeconds":0}',
        b'{"synth":"a","slots":-1,"free":0,"workSeconds":0,"meanWorkSeconds":0}',
        b'{"synth":"a","slots":1,"free":0,"workSeconds":1e999,"meanWorkSeconds":0}',
        b'{"synth":"a","slots":1,"free":0,"workSeconds":"1","meanWorkSeconds":0}',
        b'{"synth":"a","slots":1,"free":0,"workSeconds":1.7e308,"meanWorkSeconds":0}',
        b'{"synth":"a","slots":9999999,"free":0,"workSeconds":1,"meanWorkSeconds":0}',
        b"\xff\xfe",
    ],
)
def test_other_payloads_are_undecodable(payload: bytes) -> None:
    with pytest.raises(Undecodable):
        SynthLoad.decode(payload)


def test_nobody_waits_while_a_slot_is_free_and_else_the_work_is_shared_by_all_slots() -> None:
    node = NodeLoad()
    assert node.wait_s(0.0) is None
    node.receive(SynthLoad("a", 2, 0, 6.0, 1.0), 0.0)
    assert node.wait_s(0.0) == 3.0
    node.receive(SynthLoad("b", 2, 1, 0.5, 1.0), 0.0)
    assert node.wait_s(0.0) == 0.0
    node.receive(SynthLoad("b", 2, 0, 2.0, 1.0), 0.1)
    assert node.wait_s(0.1) == 2.0


def test_own_requests_count_until_the_loads_show_them() -> None:
    node = NodeLoad()
    node.receive(SynthLoad("a", 2, 2, 0.0, 1.5), 0.0)
    node.stored(0.0)
    assert node.wait_s(0.0) == 0.0
    node.stored(0.0)
    assert node.wait_s(0.0) == 1.5, "both free slots are taken by own requests: (2 x 1.5 s) / 2 slots"
    node.receive(SynthLoad("a", 2, 2, 0.0, 1.5), UNSEEN_S / 2)
    assert node.wait_s(UNSEEN_S / 2) == 1.5, "this load may have been sent before the requests came"
    node.receive(SynthLoad("a", 2, 2, 0.0, 1.5), UNSEEN_S * 1.01)
    assert node.wait_s(UNSEEN_S * 1.01) == 0.0


def test_request_that_was_not_stored_after_all_does_not_count() -> None:
    node = NodeLoad()
    node.receive(SynthLoad("a", 1, 1, 0.0, 1.5), 0.0)
    node.stored(0.0)
    assert node.wait_s(0.0) == 1.5
    node.not_stored(0.0)
    node.not_stored(0.0)
    assert node.wait_s(0.0) == 0.0


def test_wait_is_never_zero_while_no_slot_is_free() -> None:
    """Before the first utterance nothing is known about the work."""
    node = NodeLoad()
    node.receive(SynthLoad("a", 2, 0, 0.0, 0.0), 0.0)
    assert node.wait_s(0.0) == LEAST_WAIT_S > 0


def test_synth_that_ends_or_is_silent_does_not_count() -> None:
    node = NodeLoad()
    node.receive(SynthLoad("a", 2, 0, 6.0, 1.0), 0.0)
    node.receive(SynthLoad("b", 2, 0, 60.0, 1.0), 0.0)
    node.receive(SynthLoad("b", 0, 0, 0.0, 0.0), 0.1)
    assert node.wait_s(0.1) == 3.0
    assert node.wait_s(LIFE_S + 0.01) is None


@given(st.lists(st.tuples(LOADS, st.floats(0, 1))), st.integers(0, 5))
def test_estimate_follows_the_latest_load_of_each_synth(steps: list[tuple[SynthLoad, float]], own: int) -> None:
    node, now, latest = NodeLoad(), 0.0, dict[str, tuple[float, SynthLoad]]()
    for load, after_s in steps:
        now += after_s
        node.receive(load, now)
        latest[load.synth] = (now, load)
    for _ in range(own):
        node.stored(now)
    loads = [load for at, load in latest.values() if at >= now - LIFE_S and load.slots]
    wait_s = node.wait_s(now)
    if not loads:
        assert wait_s is None
        return
    assert wait_s is not None
    if own < sum(load.free for load in loads):
        assert wait_s == 0.0
    else:
        mean_s = sum(load.mean_work_s for load in loads) / len(loads)
        slots = sum(load.slots for load in loads)
        expected_s = (sum(load.work_s for load in loads) + own * mean_s) / slots
        assert wait_s == pytest.approx(max(expected_s, LEAST_WAIT_S))
    assert len(node.known(now)) == len(loads)
