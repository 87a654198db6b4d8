"""The Python samples of the documents, and the frames in tests/samples/ that make programs of them.

A frame is a program with the line `SAMPLE`, which the sample replaces as it is printed. The frame's docstring
names the document and a text that only this sample has. The frame gives the sample the names that are the reader's own
(`llm_tokens`), runs it, and checks the outcome.

A sample whose first line is `# NAME.py` is a file of a project and needs no frame: a test of its document runs it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FRAMES = ROOT / "tests" / "samples"
INTEGRATIONS = FRAMES / "integrations"
"""The frames of samples that need the packages of `.venv-integrations`."""
HOSTS = FRAMES / "hosts"
"""The frames of samples that need the packages of `.venv-hosts`."""
PROJECTS = frozenset({"docs/guide/testing.md"})
"""The documents whose files of a project are run by a test of their own (`test_guide.py`, `test_containers.py`)."""
GIVEN = "given.py"
"""The module that frames import; it is no frame."""
NATS_URL = "nats://127.0.0.1:4222"
GATEWAY_URL = "http://127.0.0.1:8000"
"""The addresses in the documents."""

_SAMPLE = re.compile(r"^( *)```python\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_DOCSTRING = re.compile(r'"""(?P<document>\S+): `(?P<text>[^`]+)`"""')
_FILE = re.compile(r"# (\w+\.py)\n")
_PLACE = re.compile(r"^( *)SAMPLE$", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """One block of Python in a document."""

    document: str
    line: int
    """Line of its first line of code in the document, from 1."""
    code: str

    @property
    def file_name(self) -> str | None:
        """The name that its first line gives it, as a file of a project; None for a part of a program."""
        found = _FILE.match(self.code)
        return found[1] if found else None

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[Path]:
    """The documents with samples. Those of README.ko.md are README.md's: `make check` sees to it."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def samples_of(document: str, text: str) -> list[Sample]:
    """The Python samples in the text of a document."""
    return [
        Sample(document, text.count("\n", 0, found.start(2)) + 1, textwrap.dedent(found[2]))
        for found in _SAMPLE.finditer(text)
    ]


def all_samples() -> list[Sample]:
    """The Python samples of all documents."""
    return [
        sample
        for path in documents()
        for sample in samples_of(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    ]


@dataclass(frozen=True)
class Frame:
    """One file of tests/samples/."""

    path: Path
    document: str
    text: str
    """A text that the document has in this sample alone."""
    code: str

    def holds(self, sample: Sample) -> bool:
        """Whether it is the frame of this sample."""
        return sample.document == self.document and self.text in sample.code

    def program(self, sample: Sample) -> str:
        """The frame with the sample in its place."""
        found = _PLACE.search(self.code)
        assert found is not None, f"{self.path.name} has no line `SAMPLE`"
        return self.code[: found.start()] + textwrap.indent(sample.code.rstrip(), found[1]) + self.code[found.end() :]


def frames(folder: Path = FRAMES) -> list[Frame]:
    """The frames in a folder, by name."""
    return [_frame(path) for path in sorted(folder.glob("*.py")) if path.name != GIVEN]


def _frame(path: Path) -> Frame:
    code = path.read_text(encoding="utf-8")
    begins = _DOCSTRING.match(code)
    assert begins is not None, f'{path.name} does not begin with """DOCUMENT: `TEXT OF ITS SAMPLE`"""'
    return Frame(path, begins["document"], begins["text"], code)


def write_programs(folder: Path, of: Path = FRAMES) -> dict[str, Path]:
    """Write the programs of the frames in `of`, and GIVEN, into a folder. Returns them by the name of the frame.

    The files of projects are in its folder `project`, with the programs of FRAMES.

    Raises AssertionError if a sample has not exactly one frame, or a frame not exactly one sample.
    """
    samples, programs = all_samples(), {}
    all_frames = [*frames(), *frames(INTEGRATIONS), *frames(HOSTS)]
    if of == FRAMES:
        write_project(folder / "project", samples)
    for sample in samples:
        if sample.file_name is not None:
            continue
        held = [frame.path.name for frame in all_frames if frame.holds(sample)]
        assert len(held) == 1, f"{sample}: one frame in tests/samples/ must hold this sample, not {held}"
    for frame in frames(of):
        held_samples = [sample for sample in samples if frame.holds(sample)]
        assert len(held_samples) == 1, f"{frame.path.name}: {frame.document} must have `{frame.text}` in one sample"
        programs[frame.path.stem] = folder / frame.path.name
        programs[frame.path.stem].write_text(frame.program(held_samples[0]), encoding="utf-8")
    (folder / GIVEN).write_text((FRAMES / GIVEN).read_text(encoding="utf-8"), encoding="utf-8")
    return programs


def write_project(folder: Path, samples: Iterable[Sample]) -> set[str]:
    """Write the samples that are files of a project into a folder. Returns their names.

    Raises AssertionError if two have the same name, or no test runs those of a document.
    """
    folder.mkdir(exist_ok=True)
    written: set[str] = set()
    for sample in samples:
        if sample.file_name is not None:
            assert sample.document in PROJECTS, f"{sample}: no test runs the files of this document; see PROJECTS"
            assert sample.file_name not in written, f"{sample}: another sample is the file {sample.file_name}"
            written.add(sample.file_name)
            (folder / sample.file_name).write_text(sample.code, encoding="utf-8")
    return written
