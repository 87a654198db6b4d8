"""How many sessions a bridge can serve with the open files that the system allows it."""

from __future__ import annotations

import resource

import pytest

from orastream.service.bridge import SPARE_FILES, possible_sessions

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("files", "wanted", "possible"),
    [
        (resource.RLIM_INFINITY, 10_000, 10_000),
        (10_000 + SPARE_FILES, 10_000, 10_000),
        (10_000 + SPARE_FILES - 1, 10_000, 9_999),
        (1_024, 500, 500),
        (64, 10_000, 1),
    ],
)
def test_sessions_are_as_many_as_wanted_or_as_files_can_be_opened(
    monkeypatch: pytest.MonkeyPatch, files: int, wanted: int, possible: int
) -> None:
    limits = {"now": (min(files, 256) if files > 0 else 256, files)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.update(now=new))
    assert possible_sessions(wanted) == possible
    assert limits["now"] == (files, files), "the limit is raised as far as it goes"


def test_a_system_that_does_not_raise_the_limit_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_what: int, _new: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 4_096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert possible_sessions(10_000) == 1_024 - SPARE_FILES
