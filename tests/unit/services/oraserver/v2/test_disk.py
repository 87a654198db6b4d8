"""What is on disk: a restart finds it again, wherever the process died, and the application gets each byte once."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.oraserver.stream_faults import StreamFaults
from services.oraserver.v2 import events
from services.oraserver.v2.disk import APPLICATION, JOURNAL, DiskStorage
from services.oraserver.v2.events import StreamEvent
from services.oraserver.v2.journal import decode_event, encode_event
from services.oraserver.v2.store import Store
from services.oraserver.violations import Violation
from tests.support.bridge_frames import Bench, audio, cancel, end, fresh, opening, text
from tests.support.streaming_bridge import wav

pytestmark = pytest.mark.unit


class Died(Exception):
    """The process has died."""


class DyingStorage(DiskStorage):
    """Dies before its nth step: an event or bytes for the application."""

    def __init__(self, folder: Path, steps: int) -> None:
        super().__init__(folder)
        self.left = steps

    def _step(self) -> None:
        if self.left == 0:
            raise Died
        self.left -= 1

    def keep(self, event: StreamEvent) -> None:
        self._step()
        super().keep(event)

    def give(self, number: int, first: int, past: int) -> None:
        self._step()
        super().give(number, first, past)


def restarted(folder: Path) -> tuple[DiskStorage, Store]:
    """As StreamService does it."""
    disk = DiskStorage(folder)
    store = Store(disk)

    def replay() -> Any:
        yield from disk.replay()
        disk.recover(list(store.utterances.values()))

    store.replay(replay(), 1_000.0, disk.next_number())
    return disk, store


def on_disk(folder: Path) -> Bench:
    """A bench whose store was read from the folder."""
    disk, store = restarted(folder)
    bench = Bench(storage=disk)
    bench.store = store
    bench.link = bench.connect()
    return bench


def taken(folder: Path) -> list[tuple[int, int]]:
    """The ranges in the application's journal; they have neither a gap nor an overlap."""
    lines = [json.loads(line) for line in (folder / "v2" / APPLICATION).read_text().splitlines()]
    for before, after in zip(lines, lines[1:], strict=False):
        assert before["number"] != after["number"] or before["to"] == after["from"]
    return [(line["from"], line["to"]) for line in lines]


FILE = wav(2_000)
STEPS = [
    fresh(format="wav"),
    text(),
    *(audio(at, min(300, 2_044 - at)) for at in (0, 600, 300, 900, 1_200, 1_500, 1_800)),
    end(2_044, ms=125),
]


def speech() -> list[Any]:
    """The frames of an utterance, with the bytes of FILE."""
    return [
        dataclasses.replace(step, data=FILE[step.at : step.at + len(step.data)]) if hasattr(step, "data") else step
        for step in STEPS
    ]


@pytest.mark.parametrize("steps", range(40))
def test_a_restart_after_any_step_goes_on_exactly(tmp_path: Path, steps: int) -> None:
    bench = Bench(storage=DyingStorage(tmp_path, steps))
    acknowledged = 0
    try:
        for message in speech():
            acknowledged = max([acknowledged, *(ack.upto for ack in bench.send(message))])  # type: ignore[union-attr]
    except Died:
        pass
    bench = on_disk(tmp_path)
    assert all(utterance.upto >= acknowledged for utterance in bench.store.utterances.values())
    bench.send(opening(1, format="wav", attempt=2, fresh=True))
    for message in speech()[1:]:
        bench.send(message)
    (utterance,) = bench.store.utterances.values()
    assert utterance.play_ended and utterance.final is not None
    assert (tmp_path / "v2/1-r1.wav").read_bytes() == wav(2_000, true_sizes=True)
    ranges = taken(tmp_path)
    assert (ranges[0][0], ranges[-1][1]) == (0, len(FILE))
    assert set(bench.rules) <= {"v2-fresh"}, "the test opens it as fresh again"


def test_bytes_that_the_application_missed_are_given_after_a_restart(tmp_path: Path) -> None:
    bench = Bench(storage=DiskStorage(tmp_path))
    bench.send(fresh(), audio(0, 1_000))
    file = tmp_path / "v2/1-r1.pcm"
    lines = (tmp_path / "v2" / APPLICATION).read_bytes()
    for size, journal in ((600, lines), (600, b""), (1_000, b""), (1_000, b'{"number": 1, "fr'), (0, b"")):
        with open(file, "r+b") as opened:
            opened.truncate(size)
        claimed = json.loads(journal)["to"] if journal == lines else 0
        (tmp_path / "v2" / APPLICATION).write_bytes(journal if claimed <= size else b"")
        restarted(tmp_path)[0].close()
        assert file.read_bytes() == audio(0, 1_000).data
        assert taken(tmp_path)[-1][1] == 1_000


@pytest.mark.parametrize("size", [0, 1_000, 1_600, 2_000, 3_200])
def test_what_was_skipped_is_not_given_after_a_restart(tmp_path: Path, size: int) -> None:
    faults = StreamFaults(real_time=True, skip_gaps=True)
    bench = Bench(faults=faults, storage=DiskStorage(tmp_path))
    bench.send(fresh(), audio(0, 1_600), audio(3_200, 1_600))
    bench.wait(1)
    assert bench.store.utterances[1].given == 4_800
    with open(tmp_path / "v2/1-r1.pcm", "r+b") as file:
        file.truncate(size)
    (tmp_path / "v2" / APPLICATION).write_bytes(b"")
    restarted(tmp_path)[0].close()
    assert (tmp_path / "v2/1-r1.pcm").read_bytes() == audio(0, 1_600).data + audio(3_200, 1_600).data
    assert taken(tmp_path)[-1][1] == 3_200


def test_fence_cancels_and_play_are_there_after_a_restart(tmp_path: Path) -> None:
    bench = Bench(storage=DiskStorage(tmp_path))
    bench.send(fresh(), text(), audio(0, 160), end(160), cancel(before=5), cancel(seq=12))
    bench.send(fresh(2, seq=11, request="r2"), audio(0, 10, 2), audio(90, 10, 2))
    before = {key: (one.fence, one.before, one.cancelled) for key, one in bench.store.sessions.items()}
    store = restarted(tmp_path)[1]
    assert {key: (one.fence, one.before, one.cancelled) for key, one in store.sessions.items()} == before
    first, second = store.utterances.values()
    assert (first.play_ended, first.size, first.sentences[0].text) == (True, 160, "문장 0.")
    assert (second.upto, second.stored.above, second.given) == (10, ((90, 100),), 10)
    assert store.last_connection == bench.link.number


def test_forgetting_leaves_the_files_of_the_application(tmp_path: Path) -> None:
    bench = Bench(storage=DiskStorage(tmp_path))
    bench.send(fresh(), audio(0, 160))
    bench.store.forget()
    assert restarted(tmp_path)[1].utterances == {}
    bench.send(fresh(2), audio(0, 10, 2))
    assert {path.name for path in (tmp_path / "v2").iterdir()} == {
        *(JOURNAL, APPLICATION),
        *("1-r1.pcm", "2-r1.pcm", "2.part"),
    }


def test_an_incomplete_last_line_is_cut_off(tmp_path: Path) -> None:
    Bench(storage=DiskStorage(tmp_path)).send(fresh(), audio(0, 160))
    journal = tmp_path / "v2" / JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"kind": "Stored", "numb')
    assert restarted(tmp_path)[1].utterances[1].upto == 160
    assert journal.read_bytes() == whole


def test_nothing_is_created_before_the_first_event(tmp_path: Path) -> None:
    disk, _ = restarted(tmp_path)
    disk.forget()
    assert list(tmp_path.iterdir()) == []


def test_fsync_can_be_on(tmp_path: Path) -> None:
    bench = Bench(storage=DiskStorage(tmp_path, fsync=True))
    bench.send(fresh(), audio(0, 160))
    assert (tmp_path / "v2/1-r1.pcm").stat().st_size == 160


counts = st.integers(0, 2**53 - 1)
names = st.text(max_size=5)
ALL_EVENTS = st.one_of(
    st.builds(events.FenceRaised, names, names, counts, counts),
    st.builds(events.CancelKept, names, names, st.none() | counts, st.none() | counts),
    st.builds(events.UtteranceReopened, counts, counts, names),
    st.builds(events.BytesStored, counts, counts, counts, st.none() | counts),
    st.builds(events.BytesRepeated, counts, counts, counts),
    st.builds(
        events.SentenceKept,
        *(counts, counts, counts, names, st.none() | counts, st.none() | counts),
        st.none() | st.lists(st.tuples(counts, counts, counts, counts), max_size=2).map(tuple),
    ),
    st.builds(
        events.WordsKept, counts, counts, st.lists(st.tuples(counts, counts, counts, counts), max_size=2).map(tuple)
    ),
    st.builds(events.StreamEndKept, counts, st.sampled_from(["complete", "failed"]), counts, counts, st.none() | names),
    st.builds(events.BytesSkipped, counts, counts, counts),
    st.builds(events.BytesGiven, counts, counts),
    st.builds(
        events.UtteranceFinal,
        *(counts, st.just("whole"), counts, st.floats(0, 1e9), counts),
        st.none() | st.tuples(st.just("before"), counts),
    ),
    st.builds(events.PlayEnded, counts, counts, st.booleans()),
    st.builds(events.StreamRuleBroken, st.none() | counts, st.none() | names, st.just(Violation("v2-frame", "x"))),
)


@given(ALL_EVENTS)
@settings(max_examples=300)
def test_each_event_is_the_same_after_a_restart(event: StreamEvent) -> None:
    line = encode_event(event)
    assert decode_event(line) == event
    with pytest.raises(ValueError, match="cut off"):
        decode_event(line[:-1])
