"""The locks of the images: in step with both pyproject.toml, one version of a package in all, and files for arm64."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
LOCKS = {path.stem: path.read_text() for path in (ROOT / "deploy/locks").glob("*.txt")}
SERVICES = tuple(path.parent.name for path in sorted((ROOT / "services").glob("*/__main__.py")))
ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[\w.]+)(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n    # (?P<on>.+)\n"
)


def versions(*locks: str) -> dict[str, str]:
    """Name → version of the packages in these locks."""
    return {found["name"]: found["version"] for lock in locks for found in ENTRY.finditer(LOCKS[lock])}


def test_each_image_has_a_lock() -> None:
    assert LOCKS.keys() == {*SERVICES, "runtime", "build"}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_hashes_of_files_for_both_platforms(lock: str) -> None:
    head, *_ = LOCKS[lock].partition("\n")
    assert head.startswith("# Written by `make lock`")
    assert ENTRY.sub("", LOCKS[lock]) == head + "\n", "a line is not part of a package with its hashes"
    for found in ENTRY.finditer(LOCKS[lock]):
        assert {"amd64", "arm64"} <= set(found["on"].split(", ")), found["name"]
        assert found["hashes"].count("--hash") >= 1
        # Only there pip builds with the locked setuptools (--no-build-isolation); elsewhere it would download another.
        assert lock == "runtime" or "source archive" not in found["on"], f"{found['name']} would be built unlocked"


def test_a_package_has_one_version_in_all_images() -> None:
    seen: dict[str, str] = {}
    for lock in LOCKS:
        for name, version in versions(lock).items():
            assert seen.setdefault(name, version) == version, name
            assert lock == "runtime" or name not in versions("runtime"), f"{name} is in the runtime of all images"


@pytest.mark.parametrize(
    ("lock", "folder", "extras"),
    [("runtime", "shared", ("service", "traces")), *((name, ".", (name,)) for name in SERVICES)],
)
def test_lock_satisfies_pyproject(lock: str, folder: str, extras: tuple[str, ...]) -> None:
    """`make lock` after a change of requirements."""
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    requirements = [Requirement(line) for line in lines if not line.startswith("orastream")]
    locked = versions("runtime", lock)
    assert requirements
    for requirement in requirements:
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in {lock}.txt: make lock"
        assert requirement.specifier.contains(version), f"{requirement}: {lock}.txt has {version}: make lock"
