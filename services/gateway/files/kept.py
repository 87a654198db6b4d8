"""The indexes of finished files that a gateway keeps, the newest used ones, up to a limit of memory. Pure."""

from __future__ import annotations

from collections import OrderedDict

from services.gateway.files.index import FinishedFile

MAX_BYTES = 16 << 20
"""Memory of all kept indexes, about: that of 8 000 short files, or of a million chunks of long ones."""
CHUNK_BYTES = 16
FILE_BYTES = 2048
"""An index without its chunks takes 1 to 2 KiB, by the lengths of its ids. Files of one chunk would else be free."""

FileKey = tuple[str, int]
"""The audio subject of a request, and the request's sequence."""


class KeptFiles:
    """Finished files by their key. The least recently used ones leave first. For one event loop."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._files: OrderedDict[FileKey, FinishedFile] = OrderedDict()
        self.size_bytes = 0
        """Memory of the kept indexes, about."""

    def get(self, key: FileKey) -> FinishedFile | None:
        """The file, if it is kept."""
        file = self._files.get(key)
        if file is not None:
            self._files.move_to_end(key)
        return file

    def keep(self, key: FileKey, file: FinishedFile) -> None:
        """Keep the file, in place of an earlier one of the same key. One that is larger than the limit is not kept."""
        self.forget(key)
        if _size(file) > self._max_bytes:
            return
        self._files[key] = file
        self.size_bytes += _size(file)
        while self.size_bytes > self._max_bytes:
            _, left = self._files.popitem(last=False)
            self.size_bytes -= _size(left)

    def forget(self, key: FileKey) -> None:
        """Drop the file, if it is kept."""
        if (file := self._files.pop(key, None)) is not None:
            self.size_bytes -= _size(file)


def _size(file: FinishedFile) -> int:
    return FILE_BYTES + CHUNK_BYTES * len(file.ends)
