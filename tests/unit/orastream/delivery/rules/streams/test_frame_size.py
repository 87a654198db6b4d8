"""The size of the next frame: its properties, and how it does on simulated links beside frames of a fixed size."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orastream.delivery.rules.streams.frame_size import COMPETING_BYTES, FIRST_S, SendingView, next_frame_bytes
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.throughput import Throughput

pytestmark = pytest.mark.unit

WAV, OPUS = 44_100.0, 4_000.0
"""Bytes of a second of audio."""
MAX_BYTES, MAX_LEAD_S = 32 << 10, 8.0
HEADER_BYTES = 40
UNSENT_BYTES = 16 << 10
"""The socket takes a frame while fewer bytes than these were not sent."""
AUDIO_S = 240.0
AHEAD_S = 0.3
"""Seconds of audio that synth has when the stream begins, if it is not much faster than real time."""
LOOK_S = 0.02

views = st.builds(
    SendingView,
    lead_s=st.floats(0, 12),
    ack_s=st.just(0.0) | st.floats(0.001, 5),
    link_bytes_per_s=st.none() | st.floats(1e3, 1e7),
    surely_bytes_per_s=st.just(0.0) | st.floats(1e3, 1e7),
    audio_bytes_per_s=st.sampled_from([OPUS, WAV, 192_000.0]),
    max_bytes=st.integers(100, 64 << 10),
    max_lead_s=st.just(MAX_LEAD_S),
    competing=st.booleans(),
)


@given(views)
def test_it_is_never_above_the_largest_size(view: SendingView) -> None:
    size = next_frame_bytes(view)
    assert size <= (min(view.max_bytes, COMPETING_BYTES) if view.competing else view.max_bytes)
    assert (size == 0) == (view.lead_s >= MAX_LEAD_S)


@example(SendingView(0.9, 2.0, None, 0.0, WAV, 32 << 10, MAX_LEAD_S, competing=False), 1.1)
@given(views, st.floats(0, 8, exclude_max=True))
def test_more_audio_at_the_listener_never_makes_it_smaller(view: SendingView, lead_s: float) -> None:
    low, high = sorted((min(view.lead_s, 7.99), lead_s))
    assert next_frame_bytes(view._replace(lead_s=low)) <= next_frame_bytes(view._replace(lead_s=high))


@pytest.mark.parametrize(("audio", "size"), [(WAV, int(FIRST_S * WAV)), (OPUS, 512)])
def test_the_first_frame_of_a_new_connection(audio: float, size: int) -> None:
    assert next_frame_bytes(SendingView(0.0, 0.0, None, 0.0, audio, MAX_BYTES, MAX_LEAD_S, competing=False)) == size


def test_the_first_frame_of_a_connection_that_is_surely_quick() -> None:
    view = SendingView(0.0, 0.3, None, 1e6, WAV, MAX_BYTES, MAX_LEAD_S, competing=False)
    assert next_frame_bytes(view) == 20_000, "what it carries in 20 ms"
    assert next_frame_bytes(view._replace(surely_bytes_per_s=1e8)) == MAX_BYTES
    assert next_frame_bytes(view._replace(surely_bytes_per_s=1e8, competing=True)) == COMPETING_BYTES


SizeOf = Callable[[SendingView], int]


class SimulatedLink(NamedTuple):
    """A link, and the audio that is sent over it."""

    bytes_per_s: float
    delay_s: float
    ack_delay_s: float
    audio_bytes_per_s: float
    speed: float | None
    """How fast synth makes the audio, as a multiple of real time; None: all of it is there."""

    def made_bytes(self, now: float) -> int:
        total = int(AUDIO_S * self.audio_bytes_per_s)
        if self.speed is None:
            return total
        return min(int((AHEAD_S + now * self.speed) * self.audio_bytes_per_s), total)


@dataclass(slots=True)
class Outcome:
    """What a way of choosing sizes has done."""

    first_s: float = 0.0
    """When the first audio arrived."""
    stalled_s: float = 0.0
    """For how long the listener had no audio after that."""
    late_frames: int = 0
    """Frames of the second half of the audio."""
    sizes: list[int] = field(default_factory=list)
    """What was chosen, wherever so much audio was there."""


def send(link: SimulatedLink, size_of: SizeOf) -> Outcome:
    """Send the audio as the bridge does, with frames of these sizes."""
    listener, throughput, outcome = Listener(), Throughput(), Outcome()
    acks: deque[tuple[float, int]] = deque()
    arrived: list[tuple[float, int]] = []
    audio = link.audio_bytes_per_s
    now = free_at = 0.0
    sent, total, waited = 0, int(AUDIO_S * audio), False
    while sent < total:
        if (free_at - now) * link.bytes_per_s > UNSENT_BYTES:
            now, waited = free_at - UNSENT_BYTES / link.bytes_per_s, True
        while acks and acks[0][0] <= now:
            at, frame = acks.popleft()
            throughput.acked(frame, at)
        if (lead_s := listener.lead_s(now)) >= MAX_LEAD_S:
            now, waited = max(listener.comes_down_to(MAX_LEAD_S), now) + 1e-6, False
            continue
        if (there := link.made_bytes(now) - sent) <= 0:
            now, waited = now + LOOK_S, False
            continue
        rate, surely = throughput.bytes_per_s(now), throughput.surely_bytes_per_s(now)
        view = SendingView(lead_s, throughput.ack_s, rate, surely, audio, MAX_BYTES, MAX_LEAD_S, competing=False)
        if (wanted := size_of(view)) <= there:
            outcome.sizes.append(wanted)
        size = min(wanted, there)
        throughput.sent(len(arrived) + 1, size, now, busy=waited)
        waited, sent = False, sent + size
        free_at = max(free_at, now) + (size + HEADER_BYTES) / link.bytes_per_s
        arrived.append((free_at + link.delay_s, size))
        acks.append((free_at + 2 * link.delay_s + link.ack_delay_s, len(arrived)))
        listener.sent(1, sent - size, sent, size / audio, now)
        outcome.late_frames += sent > total / 2
    play(arrived, audio, outcome)
    return outcome


def play(arrived: list[tuple[float, int]], audio: float, outcome: Outcome) -> None:
    """Play each frame when the whole of it is there."""
    outcome.first_s = dry_at = arrived[0][0]
    for at, size in arrived:
        outcome.stalled_s += max(at - dry_at, 0.0)
        dry_at = max(dry_at, at) + size / audio


def direction_changes(sizes: list[int]) -> int:
    """How often sizes that rose by more than a fiftieth fall, or the other way round."""
    steps = [
        after - before for before, after in zip(sizes, sizes[1:], strict=False) if abs(after - before) > before / 50
    ]
    return sum((before > 0) != (after > 0) for before, after in zip(steps, steps[1:], strict=False))


def random_link(seed: int) -> SimulatedLink:
    random = Random(seed)
    rate = 8_000 * 1250 ** random.random()  # to 10 MB/s, all orders of magnitude alike
    delay_s, ack_delay_s = random.choice((0.0, 0.02, 0.1, 0.3)), random.choice((0.0, 0.05, 0.25))
    return SimulatedLink(rate, delay_s, ack_delay_s, (WAV, OPUS)[seed % 2], random.choice((None, 1.2, 1.2, 5.0)))


CORNERS = [
    SimulatedLink(8e3, 0.0, 0.0, WAV, None),
    SimulatedLink(8e3, 0.3, 0.25, OPUS, None),
    SimulatedLink(50e3, 0.0, 0.0, WAV, None),
    SimulatedLink(50e3, 0.05, 0.25, WAV, None),
    SimulatedLink(50e3, 0.3, 0.25, WAV, 1.2),
    SimulatedLink(1e7, 0.3, 0.25, OPUS, None),
    SimulatedLink(1e7, 0.0, 0.0, WAV, 1.2),
]


@pytest.mark.parametrize("link", [*CORNERS, *(random_link(seed) for seed in range(40))])
def test_it_is_as_quick_as_small_frames_and_as_cheap_as_large_ones(link: SimulatedLink) -> None:
    found = send(link, next_frame_bytes)
    small, large = send(link, lambda _: 4 << 10), send(link, lambda _: MAX_BYTES)
    assert found.first_s <= small.first_s
    assert found.stalled_s == 0 or small.stalled_s > 0
    # Where no size can keep up, the headers of the first frames, which are a little smaller, take some ms.
    assert found.first_s + found.stalled_s <= (small.first_s + small.stalled_s) * 1.001
    keeps_up = link.bytes_per_s >= 1.1 * link.audio_bytes_per_s
    if keeps_up and link.bytes_per_s >= MAX_BYTES:
        assert found.late_frames <= 1.1 * large.late_frames + 1
    elif keeps_up:  # a frame of 32 KiB would take seconds
        assert found.late_frames * HEADER_BYTES <= 0.01 * AUDIO_S / 2 * link.audio_bytes_per_s
    assert direction_changes(found.sizes[len(found.sizes) // 3 :]) <= 4
