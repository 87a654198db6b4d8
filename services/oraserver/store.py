"""The data directory: one audio file per utterance, and the journal from which a restart reads the events again.

`keep` returns when the operating system has the event: it survives a crash of the process, not of the machine (there
is no fsync). Not thread-safe, except `sha256`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orastream.contract import subjects
from orastream.contract.audio import WAV_HEADER_BYTES
from orastream.contract.errors import SettingsError
from services.oraserver.frames import extension
from services.oraserver.metadata import Metadata
from services.oraserver.utterances import (
    Begun,
    Captioned,
    Completed,
    EndReceived,
    Event,
    Moved,
    ReceivedUtterance,
    Repeated,
    RuleBroken,
    StoredChunk,
)
from services.oraserver.violations import Violation
from services.oraserver.wav import true_header

JOURNAL = "journal.jsonl"
MAX_OPEN_FILES = 128
MAX_TOKEN_CHARS = 100
FILE_MODE, DIRECTORY_MODE = 0o600, 0o700
"""Other users of the machine must not read what was said. A directory that exists keeps its mode."""

_KINDS: dict[str, type[Event]] = {
    "Begun": Begun,
    "Stored": StoredChunk,
    "Captioned": Captioned,
    "Repeated": Repeated,
    "Moved": Moved,
    "Completed": Completed,
    "Ended": EndReceived,
    "Broken": RuleBroken,
}
"""Event by the name that the journal has for it. A name stays when a class is renamed: journals of before are read."""
_NAMES = {event: name for name, event in _KINDS.items()}


class RecordingStore:
    """Writes events to a directory that no other OraServer uses.

    Raises SettingsError when the directory cannot be written or another OraServer uses it.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        try:
            make_private(data_dir)
            self._journal = os.open(data_dir / JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND, FILE_MODE)
            os.fchmod(self._journal, FILE_MODE)  # an earlier version made it readable for every user; it has texts
        except OSError as exc:
            raise SettingsError(f"ORASERVER_DATA_DIR: cannot write to {data_dir}: {exc.strerror}") from exc
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._journal)
            raise SettingsError(f"ORASERVER_DATA_DIR: {data_dir} is used by another OraServer; choose another") from exc
        self._names: dict[int, str] = {}
        self._sizes: dict[int, int] = {}
        self._open: OrderedDict[int, int] = OrderedDict()
        self._sha256: dict[int, str] = {}

    def close(self) -> None:
        """Close every file and release the directory."""
        self._close_files()
        os.close(self._journal)

    def next_number(self) -> int:
        """One more than the highest number of any file in the directory, files of forgotten utterances included."""
        stems = (name.partition("-")[0] for name in os.listdir(self.data_dir))
        return max((int(stem) for stem in stems if stem.isascii() and stem.isdigit()), default=0) + 1

    def replay(self) -> Iterator[Event]:
        """Yield the stored events, then remove the rest of the journal from the first incomplete line on.

        A crash during a write leaves such a line; its event was never confirmed.
        """
        good = 0
        for line in (self.data_dir / JOURNAL).read_bytes().splitlines(keepends=True):
            try:
                event = _decode(line)
            except (ValueError, KeyError, TypeError, RecursionError):
                break
            good += len(line)
            self._note(event)
            yield event
        os.ftruncate(self._journal, good)

    def keep(self, event: Event) -> None:
        """Write the event, its audio first. Raises OSError, and then the event is not stored."""
        if isinstance(event, Begun):
            name = _file_name(event)
            fd = os.open(self.data_dir / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, FILE_MODE)
            self._remember(event.number, fd)
        elif isinstance(event, StoredChunk):
            # Not at the end of the file: a failed write may have left bytes there, which must be overwritten.
            write_at(self._file(event.number), event.audio, self._sizes[event.number])
        elif isinstance(event, Completed):
            self._finish(event.number)
        append_line(self._journal, _encode(event))
        self._note(event)

    def forget(self) -> None:
        """Forget all utterances; the audio files stay."""
        self._close_files()
        os.ftruncate(self._journal, 0)
        self._names.clear()
        self._sizes.clear()
        self._sha256.clear()

    def file_name(self, number: int) -> str:
        """The name of an utterance's file in the data directory."""
        return self._names[number]

    def sha256(self, utterance: ReceivedUtterance) -> str:
        """Hex digest of the utterance's file; empty if the file was removed. Thread-safe; slow for a large file."""
        number = utterance.number
        known = self._sha256.get(number)
        if known is not None:
            return known
        complete = utterance.complete
        try:
            with open(self.data_dir / self._names[number], "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (FileNotFoundError, KeyError):  # a user has removed the file, or another thread called forget()
            return ""
        if complete:
            self._sha256[number] = digest
        return digest

    def _note(self, event: Event) -> None:
        if isinstance(event, StoredChunk):
            self._sizes[event.number] += event.size
        elif isinstance(event, Begun):
            self._names[event.number] = _file_name(event)
            self._sizes[event.number] = 0

    def _finish(self, number: int) -> None:
        fd = self._file(number)
        os.ftruncate(fd, self._sizes[number])
        if self._names[number].endswith(".wav"):
            header = true_header(os.pread(fd, WAV_HEADER_BYTES, 0), self._sizes[number])
            if header is not None:
                write_at(fd, header, 0)
        os.close(self._open.pop(number))

    def _file(self, number: int) -> int:
        fd = self._open.get(number)
        if fd is None:
            fd = os.open(self.data_dir / self._names[number], os.O_RDWR)
            self._remember(number, fd)
        else:
            self._open.move_to_end(number)
        return fd

    def _remember(self, number: int, fd: int) -> None:
        self._open[number] = fd
        if len(self._open) > MAX_OPEN_FILES:  # cancelled utterances never complete, so their files would stay open
            os.close(self._open.popitem(last=False)[1])

    def _close_files(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])


def make_private(directory: Path) -> None:
    """Create the directory and its missing parents; `Path.mkdir` gives the mode to the last one only."""
    for missing in [path for path in (*reversed(directory.parents), directory) if not path.exists()]:
        missing.mkdir(DIRECTORY_MODE, exist_ok=True)
    directory.mkdir(exist_ok=True)  # raises if it is a file


def _file_name(event: Begun) -> str:
    """`<n>-<token>.<ext>`. It contains only characters that are safe in a file name, for any request id."""
    token = subjects.token(event.metadata.request_id)[:MAX_TOKEN_CHARS]
    return f"{event.number}-{token}.{extension(event.file_name)}"


def _encode(event: Event) -> bytes:
    if isinstance(event, StoredChunk):  # written once per chunk, so without asdict and json
        return b'{"kind":"Stored","number":%d,"size":%d,"crc":%d}\n' % (event.number, event.size, event.crc)
    return json.dumps({"kind": _NAMES[type(event)]} | asdict(event)).encode() + b"\n"


def _decode(line: bytes) -> Event:
    """The event of a line. Raises ValueError, KeyError or TypeError for an incomplete line."""
    if not line.endswith(b"\n"):
        raise ValueError("cut off")
    fields: dict[str, Any] = json.loads(line)
    kind = _KINDS[fields.pop("kind")]
    if kind is Begun:
        fields["metadata"] = Metadata(**fields["metadata"])
    elif kind is RuleBroken:
        fields["violation"] = Violation(**fields["violation"])
    return kind(**fields)


def write_at(fd: int, data: bytes, offset: int) -> None:
    """Write all data at this offset. Raises OSError; a part may be written then."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def append_line(fd: int, line: bytes) -> None:
    """Append the line completely, or raise OSError and leave the file as it was."""
    end = os.fstat(fd).st_size
    try:
        written = os.write(fd, line)
    except OSError:
        os.ftruncate(fd, end)
        raise
    if written != len(line):
        os.ftruncate(fd, end)
        raise OSError(f"journal: only {written} of {len(line)} bytes written")
