"""The folder of `orastream init-auth`: reads what an earlier run has written, and replaces files atomically.

Only the owner may enter the folder (0700). What a container mounts (the server's folder, services' certificates) is
readable for all (0644) inside it, because a container may run as another user. The rest is 0600.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from orastream.cli.auth.accounts import CallerAccount
from orastream.cli.auth.names import account_name, session_tokens
from orastream.contract import subjects
from orastream.contract.errors import SettingsError

STATE = "auth.json"
LOCK = "auth.lock"
PRIVATE, PUBLIC = 0o600, 0o644
_PATH = re.compile(r"[A-Za-z0-9/._~+@-]+")


class SavedCaller(BaseModel):
    """A caller in the state file: its name, and its session ids or None for any."""

    model_config = ConfigDict(frozen=True)

    name: str
    session_ids: tuple[str, ...] | None = None


class AuthState(BaseModel):
    """What a later run must know, besides the keys in the env files."""

    model_config = ConfigDict(frozen=True)

    callers: tuple[SavedCaller, ...] = ()
    public_keys: dict[str, str] = {}
    """By role: for a role whose env file was moved to another machine."""
    tls: bool = False
    hosts: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, callers: tuple[CallerAccount, ...], public_keys: dict[str, str], *, tls: bool, hosts: tuple[str, ...]
    ) -> AuthState:
        """The state to save."""
        saved = tuple(
            SavedCaller(name=caller.account, session_ids=None if caller.sessions is None else _ids(caller.sessions))
            for caller in callers
        )
        return cls(callers=saved, public_keys=public_keys, tls=tls, hosts=hosts)

    def checked_callers(self) -> tuple[CallerAccount, ...]:
        """The callers, checked as those of the command line are. Raises SettingsError."""
        return tuple(
            CallerAccount(account_name(one.name), None if one.session_ids is None else session_tokens(one.session_ids))
            for one in self.callers
        )


def _ids(tokens: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(found for token in tokens if (found := subjects.untoken(token)) is not None)


class AuthFolder:
    """The folder while it is locked. Use `opened`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def state(self) -> AuthState:
        """What the last run has saved; empty before the first one. Raises SettingsError."""
        text = self.read(STATE)
        try:
            return AuthState() if text is None else AuthState.model_validate_json(text)
        except ValidationError:
            raise SettingsError(f"{self.path / STATE} is damaged; restore it, or choose an empty folder") from None

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None if there is none. Raises SettingsError if it cannot be read."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise SettingsError(f"cannot read {self.path / name} ({exc.strerror})") from exc

    def write(self, name: str, data: bytes, mode: int = PRIVATE) -> bool:
        """Replace a file atomically, with this mode. Returns whether that changed its content. Raises SettingsError.

        The new content is on the disk before the name points to it: after a crash the file is the old or the new one.
        """
        path = self.path / name
        changed = self.read(name) != data
        new = path.with_name(f"{path.name}.new")
        try:
            new.unlink(missing_ok=True)
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(fd, "wb") as file:
                os.fchmod(fd, mode)  # whatever the umask
                file.write(data)
                file.flush()
                os.fsync(fd)
            new.replace(path)
        except OSError as exc:
            raise SettingsError(f"cannot write {path} ({exc.strerror})") from exc
        return changed

    def folder(self, name: str) -> None:
        """Make a folder in it that a container may enter. Raises SettingsError."""
        path = self.path / name
        if path.is_symlink():  # else files would be written, and modes changed, wherever it leads
            raise SettingsError(f"DIR: {path} is a link; replace it by a folder")
        try:
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        except OSError as exc:
            raise SettingsError(f"cannot make {path} ({exc.strerror})") from exc


@contextlib.contextmanager
def opened(path: Path) -> Iterator[AuthFolder]:
    """Make the folder if it is missing, lock it, and yield it.

    Raises SettingsError if it cannot be made, holds files of another kind, or another run uses it.
    """
    path = path.expanduser().resolve()
    if not _PATH.fullmatch(str(path)):
        # The path becomes part of env files, which a shell, compose and kubectl would read in three ways.
        raise SettingsError(f"DIR: {str(path)!r} holds other characters than A-Z a-z 0-9 / . _ ~ + @ -; choose another")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        foreign = sorted(entry.name for entry in path.iterdir() if entry.name != LOCK)
        if foreign and STATE not in foreign:
            raise SettingsError(f"DIR: {path} holds other files ({foreign[0]}, …); choose a new or an empty folder")
        path.chmod(0o700)
        lock = os.open(path / LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as exc:
        raise SettingsError(f"DIR: cannot use {path} as a folder ({exc.strerror}); choose another") from exc
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise SettingsError(f"DIR: another `orastream init-auth` writes into {path}; wait for it") from exc
        folder = AuthFolder(path)
        if folder.read(STATE) is None:
            # First of all: without it, a run that was interrupted would leave files that the next one calls foreign.
            folder.write(STATE, _json(AuthState()))
        yield folder
    finally:
        os.close(lock)


def save(folder: AuthFolder, state: AuthState) -> None:
    """Write the state. Raises SettingsError."""
    folder.write(STATE, _json(state))


def _json(state: AuthState) -> bytes:
    return (state.model_dump_json(indent=1) + "\n").encode()
