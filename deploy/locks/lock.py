"""Writes the lock files of the images beside this file: each package with its version and the hashes of its files.

    make lock                 keeps the versions that are locked, as far as pyproject.toml allows
    make lock UPGRADE=1       takes the newest ones

A file has the hashes of what pip may take for CPython 3.11 on glibc Linux, on amd64 and on arm64: a wheel for each, or
the source archive of a package without wheels. It fails when a package has neither for one of the two, or when the two
need different versions. `runtime.txt` is what all images have, `NAME.txt` what the image of that service has besides,
`build.txt` what builds the packages.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename
from requirements import requirements

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = (3, 11)
GLIBC = 36  # of Debian 12
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
SERVICES = ("synth", "ws_bridge", "http_bridge", "gateway", "oraserver")
HEAD = "# Written by `make lock` from pyproject.toml; see deploy/locks/lock.py. Do not edit.\n"
BUILD = ["setuptools>=77"]


def tags(machine: str) -> set[Tag]:
    """The tags of the wheels that CPython takes on this machine with glibc."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 4, -1)]
    platforms += [f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"manylinux1_{machine}"]
    return {*cpython_tags(PYTHON, platforms=platforms), *compatible_tags(PYTHON, "cp311", platforms)}


TAGS = {name: tags(machine) for name, machine in ARCHITECTURES.items()}


def compile_with_uv(asked: Iterable[str], machine: str | None, out: Path, *options: str | Path) -> None:
    """Resolve requirements into the file `out`, for this machine or for all. uv says what cannot be resolved."""
    uv = [Path(sys.executable).parent / "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    platform = ["--python-platform", f"{machine}-manylinux_2_{GLIBC}"] if machine else ["--universal"]
    wanted = out.with_suffix(".in")
    wanted.write_text("\n".join(asked))
    subprocess.run(
        [*uv, "--python-version", ".".join(map(str, PYTHON)), *platform, *options, "-o", out, wanted], check=True
    )


def chosen(asked: Iterable[str], *, upgrade: bool) -> list[str]:
    """The versions to lock, as `name==version`: those that are locked, where the requirements still allow them."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "chosen.txt"
        out.write_text("\n".join(locked()))  # uv prefers what is in the file that it writes
        compile_with_uv(asked, ARCHITECTURES["amd64"], out, *(["--upgrade"] if upgrade else []))
        return pinned(out.read_text())


def resolved(asked: Iterable[str], machine: str | None, pins: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Name → package of `pylock.toml` (PEP 751) in these versions: for this machine, or with the files for all."""
    with tempfile.TemporaryDirectory() as folder:
        constraints, out = Path(folder) / "constraints.txt", Path(folder) / "pylock.toml"
        constraints.write_text("\n".join(pins))
        compile_with_uv(asked, machine, out, "-c", constraints)
        return {package["name"]: package for package in tomllib.loads(out.read_text())["packages"]}


def entry(package: dict[str, Any]) -> str:
    """The lines of a package. Raises SystemExit if it can be installed on one of the architectures alone."""
    name, hashes, on = package["name"], set(), set()
    for wheel in package.get("wheels", ()):
        file = wheel.get("name") or wheel["url"].rpartition("/")[2]
        for architecture, known in TAGS.items():
            if known & parse_wheel_filename(file)[3]:
                hashes.add(wheel["hashes"]["sha256"])
                on.add(architecture)
    if not on and "sdist" in package:
        hashes.add(package["sdist"]["hashes"]["sha256"])
        on |= {*TAGS, "source archive"}
    if missing := TAGS.keys() - on:
        raise SystemExit(f"{name} {package['version']} has no wheel for {', '.join(sorted(missing))}")
    lines = [f"{name}=={package['version']}", *(f"--hash=sha256:{one}" for one in sorted(hashes))]
    return " \\\n    ".join(lines) + f"\n    # {', '.join(sorted(on))}\n"


def pinned(text: str) -> list[str]:
    """The packages of a lock or a requirements file, as `name==version`."""
    return [line.split()[0] for line in text.splitlines() if "==" in line and not line.startswith("#")]


def locked() -> list[str]:
    """The versions in the lock files that exist, as `name==version`."""
    return [pin for path in sorted(HERE.glob("*.txt")) for pin in pinned(path.read_text())]


def main() -> None:
    """Resolve all images together, so that a package has one version in all of them; then write a file for each."""
    runtime = requirements(ROOT / "shared", "service,traces")
    wanted = {name: [*runtime, *requirements(ROOT, name)] for name in SERVICES}
    everything = [*(one for name in SERVICES for one in wanted[name]), *BUILD]
    pins = chosen(everything, upgrade="--upgrade" in sys.argv)
    files = resolved(everything, None, pins)

    def needed(asked: Iterable[str]) -> list[str]:
        """The names of the packages that these requirements need, on both architectures."""
        amd64, arm64 = (resolved(asked, machine, pins).keys() for machine in ARCHITECTURES.values())
        if amd64 != arm64:
            raise SystemExit(f"amd64 and arm64 need different packages: {', '.join(sorted(amd64 ^ arm64))}")
        return sorted(amd64)

    common = needed(runtime)
    written = {"runtime": common, "build": needed(BUILD)}
    written |= {name: [one for one in needed(wanted[name]) if one not in common] for name in SERVICES}
    texts = {name: HEAD + "".join(entry(files[one]) for one in names) for name, names in written.items()}
    for name, text in texts.items():
        (HERE / f"{name}.txt").write_text(text)
        print(f"{name}.txt: {len(written[name])} packages")


if __name__ == "__main__":
    main()
