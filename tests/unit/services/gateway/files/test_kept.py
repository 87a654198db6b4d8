"""The kept indexes stay within their limit of memory, whatever the sizes of the files are."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.audio_messages import AudioStart
from services.gateway.files.index import FinishedFile
from services.gateway.files.kept import CHUNK_BYTES, FILE_BYTES, KeptFiles

pytestmark = pytest.mark.unit

START = AudioStart(1, "wav", 22_050, 1, "espeak", "ko")


def file_of(chunks: int) -> FinishedFile:
    return FinishedFile(START, b"", '"1"', array("Q", range(chunks)), array("Q", range(1, chunks + 1)))


def test_least_recently_used_files_leave_first() -> None:
    kept = KeptFiles(3 * (FILE_BYTES + CHUNK_BYTES))
    files = {name: file_of(1) for name in "abcd"}
    for name in "abc":
        kept.keep((name, 1), files[name])
    assert kept.get(("a", 1)) is files["a"]
    kept.keep(("d", 1), files["d"])
    assert {name for name in "abcd" if kept.get((name, 1)) is files[name]} == {"a", "c", "d"}
    assert kept.get(("a", 2)) is None, "the ids were used again"


def test_short_files_are_not_free_and_one_that_is_too_large_is_not_kept() -> None:
    kept = KeptFiles(10 * FILE_BYTES)
    for number in range(1000):
        kept.keep(("s", number), file_of(1))
    assert sum(kept.get(("s", number)) is not None for number in range(1000)) == 9
    kept.keep(("long", 1), file_of(10 * FILE_BYTES // CHUNK_BYTES))
    assert kept.get(("long", 1)) is None and kept.get(("s", 999)) is not None


@given(st.lists(st.tuples(st.sampled_from(["keep", "forget", "get"]), st.integers(0, 4), st.integers(1, 300))))
def test_size_is_that_of_what_is_kept(steps: list[tuple[str, int, int]]) -> None:
    kept = KeptFiles(4 * FILE_BYTES)
    for action, number, chunks in steps:
        key = "s", number
        if action == "keep":
            kept.keep(key, file_of(chunks))
        elif action == "forget":
            kept.forget(key)
        else:
            kept.get(key)
        left = [file for number in range(5) if (file := kept.get(("s", number))) is not None]
        assert kept.size_bytes == sum(FILE_BYTES + CHUNK_BYTES * len(file.ends) for file in left) <= 4 * FILE_BYTES
