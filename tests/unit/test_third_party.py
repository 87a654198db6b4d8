"""The page of licences has each locked package; a package that states no licence is an error."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/third-party.md").read_text()
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)[1:]
SPDX = re.compile(r"[A-Za-z0-9][\w.-]*[\w](?: (?:AND|OR|WITH) [A-Za-z0-9][\w.-]*[\w])*|X11|0BSD")


@pytest.fixture(scope="module")
def licences() -> ModuleType:
    """The script of `make licences`."""
    sys.path.insert(0, str(ROOT / "deploy/locks"))
    try:
        return importlib.import_module("licences")
    finally:
        sys.path.pop(0)


def package(folder: Path, metadata: str) -> importlib.metadata.Distribution:
    """An installed package with this metadata."""
    (folder / "new-1.0.dist-info").mkdir()
    (folder / "new-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.4\nName: new\nVersion: 1.0\n" + metadata)
    (found,) = importlib.metadata.distributions(path=[str(folder)])
    return found


def test_page_has_each_locked_package_with_its_licence_and_images(licences: ModuleType) -> None:
    """After a new dependency: `make lock`, then `make licences`."""
    locks = licences.locks()
    del locks["build"]
    everywhere = locks.pop("runtime")
    rows = {name: where for name, _, where in ROWS if not name.startswith("–")}
    assert rows.keys() == everywhere.union(*locks.values())
    for name, where in rows.items():
        images = {image for image, names in locks.items() if name in names}
        assert where == "all" if name in everywhere else set(where.split(", ")) == images, name
    assert all(SPDX.fullmatch(licence) for _, licence, _ in ROWS), ROWS


def test_page_has_the_libraries_in_the_wheels() -> None:
    bundled = tomllib.loads((ROOT / "deploy/locks/bundled.toml").read_text())
    rows = [(name.partition(": ")[2], licence) for name, licence, _ in ROWS if name.startswith("–")]
    assert sorted(rows) == sorted((one["name"], one["licence"]) for own in bundled.values() for one in own["libraries"])
    assert bundled.keys() <= {name for name, _, _ in ROWS}, "bundled.toml has a package that no image has"


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT AND BSD-3-Clause\nLicense: other", "MIT AND BSD-3-Clause"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT"),
        ("License: Apache-2.0", "Apache-2.0"),
        (
            "Classifier: License :: OSI Approved :: MIT License\n"
            "Classifier: License :: OSI Approved :: Apache Software License",
            "Apache-2.0 OR MIT",
        ),
    ],
)
def test_licence_is_what_the_package_states(tmp_path: Path, licences: ModuleType, metadata: str, licence: str) -> None:
    assert licences.licence(package(tmp_path, metadata + "\n")) == licence


@pytest.mark.parametrize(
    "metadata", ["", "License: see LICENSE", "Classifier: License :: Other/Proprietary License\nLicense: MIT"]
)
def test_package_without_a_known_licence_is_an_error(tmp_path: Path, licences: ModuleType, metadata: str) -> None:
    with pytest.raises(
        SystemExit, match="^new states no known licence: add it to SPDX, or its licence to bundled.toml$"
    ):
        licences.licence(package(tmp_path, metadata + "\n"))


def test_library_in_a_wheel_that_nobody_names_is_an_error(tmp_path: Path, licences: ModuleType) -> None:
    for file in (
        "av.libs/libavcodec-5e6b81c2.so.62.28.102",
        "av.libs/libnew-0123abcd.so.1",
        "new.libs/libx-01234567.so",
    ):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert licences.unnamed(tmp_path) == ["av.libs/libnew-0123abcd.so.1", "new.libs/libx-01234567.so"]


def test_the_library_has_the_same_licence_file_as_the_repository() -> None:
    """Each of the two packages takes the one in its own folder into its wheel."""
    assert (ROOT / "shared/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
