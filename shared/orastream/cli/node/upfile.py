"""`up.json` in the data directory: the URLs and processes of the node that `orastream up` runs, for other commands."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from orastream.contract.errors import SettingsError

NAME = "up.json"
LOCK = "up.lock"


class Service(BaseModel):
    """A process of the node; `pid` is None between its death and its restart."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int | None
    health_url: str | None
    """Answers 200 when the service accepts work; None for nats-server."""


class UpFile(BaseModel):
    """The content of `up.json`. The file exists from `ready` until the end of `orastream up`."""

    model_config = ConfigDict(frozen=True)

    pid: int
    nats_url: str
    nats_monitoring_url: str | None = None
    """nats-server's monitoring port; None in the file of an earlier version."""
    gateway_url: str
    oraserver_url: str | None
    """The reference OraServer that `up` has started; None without one."""
    websocket_url: str
    """Where ws_bridge delivers. Other commands may have another environment, so they read it here."""
    http_url: str
    """Where http_bridge delivers."""
    services: tuple[Service, ...]

    def write(self, data_dir: Path) -> None:
        """Replace the file atomically, so that readers see the old or the new content."""
        path = data_dir / NAME
        new = path.with_suffix(".new")
        new.touch(0o600)  # a URL may hold a password
        new.write_text(self.model_dump_json(indent=1) + "\n")
        new.replace(path)

    @classmethod
    def read(cls, data_dir: Path) -> UpFile | None:
        """The file of a running node; None when no node runs or the file is missing or invalid."""
        try:
            file = cls.model_validate_json((data_dir / NAME).read_bytes())
        except (OSError, ValidationError):
            return None
        return file if _runs(file.pid) else None


def remove(data_dir: Path) -> None:
    """Delete the file when the node has ended."""
    (data_dir / NAME).unlink(missing_ok=True)


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Lock the data directory. Raises SettingsError when another `up` uses it, or it cannot be written."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / LOCK).open("w")
    except OSError as exc:
        raise SettingsError(f"--data-dir: cannot write to {data_dir} ({exc.strerror}); choose another") from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise SettingsError(
                f"--data-dir: {data_dir} is in use by another `orastream up`; stop that one or choose another directory"
            ) from exc
        yield


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
