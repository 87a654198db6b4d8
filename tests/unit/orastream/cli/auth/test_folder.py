"""The folder of `init-auth`: who may enter it, what it refuses, and what a crash leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orastream.cli.auth.accounts import CallerAccount
from orastream.cli.auth.folder import STATE, AuthState, opened, save
from orastream.contract import subjects
from orastream.contract.errors import SettingsError

pytestmark = pytest.mark.unit


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_only_the_owner_may_enter_it_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with opened(tmp_path / "new" / "auth") as folder:
            folder.write("secret", b"x")
            folder.write("public", b"x", 0o644)
    finally:
        os.umask(old)
    assert (mode(folder.path), mode(folder.path / "secret"), mode(folder.path / "public")) == (0o700, 0o600, 0o644)


def test_an_open_empty_folder_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with opened(tmp_path):
        assert mode(tmp_path) == 0o700


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    tmp_path.chmod(0o755)
    with pytest.raises(SettingsError, match=r"thesis\.txt.*choose a new or an empty folder"), opened(tmp_path):
        pass
    assert mode(tmp_path) == 0o755 and [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"DIR: .*choose another"), opened(tmp_path / "file"):
        pass


@pytest.mark.parametrize("name", ["a b", 'a"b', "a$b", "a'b", "a\nb", "ä"])
def test_a_path_that_an_env_file_could_not_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"DIR: .*choose another"), opened(tmp_path / name):
        pass
    assert not (tmp_path / name).exists()


def test_two_runs_at_a_time_are_refused(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(SettingsError, match="another"), opened(tmp_path):
        pass


def test_an_interrupted_first_run_can_be_repeated(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opened(tmp_path) as folder:
        folder.write("synth.env", b"half of the files")
        raise KeyboardInterrupt
    with opened(tmp_path) as folder:
        assert folder.state() == AuthState()


def test_a_write_replaces_the_file_and_its_mode_and_says_if_it_has_changed(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        (tmp_path / "one").write_bytes(b"old")
        (tmp_path / "one").chmod(0o666)
        (tmp_path / "one.new").write_bytes(b"left by a crash")
        assert folder.write("one", b"new") and not folder.write("one", b"new")
        assert (folder.read("one"), mode(tmp_path / "one")) == (b"new", 0o600)
        assert not (tmp_path / "one.new").exists()


def test_the_state_is_read_back(tmp_path: Path) -> None:
    callers = (CallerAccount("SHOP"), CallerAccount("HALL", ("lobby", subjects.token("방 1"))))
    with opened(tmp_path) as folder:
        save(folder, AuthState.of(callers, {"synth": "U"}, tls=True, hosts=("a",)))
    with opened(tmp_path) as folder:
        state = folder.state()
    assert (state.checked_callers(), state.public_keys, state.tls, state.hosts) == (
        callers,
        {"synth": "U"},
        True,
        ("a",),
    )


@pytest.mark.parametrize("text", ["{", '{"callers": 1}', "[]"])
def test_a_damaged_state_is_an_error_that_names_the_fix(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE).write_text(text)
    with opened(tmp_path) as folder, pytest.raises(SettingsError, match="restore it"):
        folder.state()


def test_a_state_that_was_edited_cannot_bring_in_a_name_that_the_options_refuse(tmp_path: Path) -> None:
    (tmp_path / STATE).write_text('{"callers": [{"name": "A } B {"}]}')
    with opened(tmp_path) as folder, pytest.raises(SettingsError, match="--caller"):
        folder.state().checked_callers()
