"""The storage of protocol v2 on disk, and the application: one file for each utterance.

In the directory `v2` of ORASERVER_DATA_DIR, which is created with the first event:

| file | what |
|---|---|
| `journal.jsonl` | the events, one a line |
| `<n>.part` | the stored bytes of utterance n, each at its offset |
| `<n>-<token>.<ext>` | what the application has got: appended, from offset 0 on |
| `application.jsonl` | each range that the application has got, a line after the bytes |

What `keep` and `give` have written survives the end of the process; with `fsync` also that of the machine. The offset
of the application is stored before it gets the bytes. If the process dies in between, its file is shorter than that
offset: `recover` gives the rest. So no byte is given twice, and none is left out. Not thread-safe.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from orastream.contract import subjects
from orastream.contract.audio import WAV_HEADER_BYTES, extension_of
from services.oraserver.store import MAX_OPEN_FILES, MAX_TOKEN_CHARS, append_line, make_private, write_at
from services.oraserver.v2.events import BytesStored, PlayEnded, StreamEvent, UtteranceBegun
from services.oraserver.v2.journal import decode_event, encode_event
from services.oraserver.v2.utterance import StreamedUtterance
from services.oraserver.wav import true_header

DIRECTORY = "v2"
JOURNAL, APPLICATION = "journal.jsonl", "application.jsonl"
FILE_MODE = 0o600


class DiskStorage:
    """A StreamStorage in a directory that no other process writes to."""

    def __init__(self, data_dir: Path, *, fsync: bool = False) -> None:
        self.directory = data_dir / DIRECTORY
        self._fsync = fsync
        self._journals: dict[str, int] = {}
        self._open: OrderedDict[str, int] = OrderedDict()
        self._names: dict[int, str] = {}
        self._sizes: dict[int, int] = {}
        """By number, how many bytes the application has."""

    def close(self) -> None:
        """Close all files."""
        self._close_files()
        for fd in self._journals.values():
            os.close(fd)
        self._journals.clear()

    # ---- a restart

    def next_number(self) -> int:
        """One more than the highest number of any file in the directory."""
        names = os.listdir(self.directory) if self.directory.exists() else []
        stems = (name.partition("-")[0].partition(".")[0] for name in names)
        return max((int(stem) for stem in stems if stem.isascii() and stem.isdigit()), default=0) + 1

    def replay(self) -> Iterator[StreamEvent]:
        """Yield the stored events, then cut off an incomplete line at the end: its event was never acknowledged."""
        path = self.directory / JOURNAL
        if not path.exists():
            return
        good = 0
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                event = decode_event(line)
            except (ValueError, KeyError, TypeError):
                break
            good += len(line)
            self._note(event)
            yield event
        os.ftruncate(self._journal(JOURNAL), good)

    def recover(self, utterances: list[StreamedUtterance]) -> None:
        """Give the application what it has not got although its offset says so; its journal is completed first."""
        if not self.directory.exists():
            return
        had = self._given_before()
        for utterance in utterances:
            number, name = utterance.number, self._names[utterance.number]
            path = self.directory / name
            size = path.stat().st_size if path.exists() else 0
            self._sizes[number] = had.get(number, 0)
            if size > self._sizes[number]:  # died between the bytes and their line
                self._note_given(number, size)
            missing = size
            for first, past in utterance.holes.missing(0, utterance.given):
                skip = min(missing, past - first)
                missing -= skip
                if first + skip < past:
                    self.give(number, first + skip, past)

    def _given_before(self) -> dict[int, int]:
        """By number, the last offset of the application's journal, whose incomplete last line is cut off."""
        found: dict[int, int] = {}
        path, good = self.directory / APPLICATION, 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
            try:
                entry = json.loads(line) if line.endswith(b"\n") else {}
                found[entry["number"]] = entry["to"]
            except (ValueError, KeyError, TypeError, RecursionError):
                break
            good += len(line)
        os.ftruncate(self._journal(APPLICATION), good)
        return found

    # ---- StreamStorage

    def keep(self, event: StreamEvent) -> None:
        """See StreamStorage."""
        if isinstance(event, BytesStored):
            fd = self._file(f"{event.number}.part")
            write_at(fd, event.data, event.at)
            self._sync(fd)
        elif isinstance(event, PlayEnded) and event.complete:
            self._finish(event.number)
        journal = self._journal(JOURNAL)
        append_line(journal, encode_event(event))
        self._sync(journal)
        self._note(event)

    def read(self, number: int, first: int, past: int) -> bytes:
        """See StreamStorage."""
        return os.pread(self._file(f"{number}.part"), past - first, first)

    def give(self, number: int, first: int, past: int) -> None:
        """See StreamStorage."""
        fd, size = self._file(self._names[number]), self._sizes.get(number, 0)
        write_at(fd, self.read(number, first, past), size)
        self._sync(fd)
        self._note_given(number, size + past - first)

    def forget(self) -> None:
        """See StreamStorage. The application's files stay."""
        self._close_files()
        if not self.directory.exists():
            return
        for name in (JOURNAL, APPLICATION):
            os.ftruncate(self._journal(name), 0)
        for path in self.directory.glob("*.part"):
            path.unlink()
        self._names.clear()
        self._sizes.clear()

    def file_name(self, number: int) -> str:
        """The application's file of an utterance, relative to ORASERVER_DATA_DIR."""
        return f"{DIRECTORY}/{self._names[number]}"

    # ---- files

    def _note(self, event: StreamEvent) -> None:
        if isinstance(event, UtteranceBegun):
            token = subjects.token(event.request)[:MAX_TOKEN_CHARS]
            self._names[event.number] = f"{event.number}-{token}.{extension_of(event.format)}"

    def _note_given(self, number: int, past: int) -> None:
        entry = {"number": number, "from": self._sizes.get(number, 0), "to": past, "process": os.getpid()}
        journal = self._journal(APPLICATION)
        append_line(journal, json.dumps(entry).encode() + b"\n")
        self._sync(journal)
        self._sizes[number] = past

    def _finish(self, number: int) -> None:
        """Write the true sizes into the header of a complete WAV file."""
        name, size = self._names[number], self._sizes.get(number, 0)
        if name.endswith(".wav") and size:
            fd = self._file(name)
            header = true_header(os.pread(fd, WAV_HEADER_BYTES, 0), size)
            if header is not None:
                write_at(fd, header, 0)
                self._sync(fd)

    def _sync(self, fd: int) -> None:
        if self._fsync:
            os.fsync(fd)

    def _sync_directory(self) -> None:
        """Make the names of new files survive the end of the machine, too."""
        if self._fsync:
            for directory in (self.directory, self.directory.parent):
                fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)

    def _journal(self, name: str) -> int:
        fd = self._journals.get(name)
        if fd is None:
            make_private(self.directory)
            fd = os.open(self.directory / name, os.O_RDWR | os.O_CREAT | os.O_APPEND, FILE_MODE)
            self._journals[name] = fd
            self._sync_directory()
        return fd

    def _file(self, name: str) -> int:
        fd = self._open.get(name)
        if fd is None:
            fd = os.open(self.directory / name, os.O_RDWR | os.O_CREAT, FILE_MODE)
            self._open[name] = fd
            self._sync_directory()
            if len(self._open) > MAX_OPEN_FILES:
                os.close(self._open.popitem(last=False)[1])
        else:
            self._open.move_to_end(name)
        return fd

    def _close_files(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])
