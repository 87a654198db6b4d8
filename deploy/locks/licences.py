"""Writes docs/reference/third-party.md: the licences of the packages in the images, and of libraries in their wheels.

    make licences              writes the page
    … licences.py ENV --check  fails if the page is not what would be written

The licences are those that the packages state in their metadata; `bundled.toml` has what they do not state. It fails
when a package in a lock states no licence that is known here, or when a wheel contains a library that `bundled.toml`
does not name.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/reference/third-party.md"
SPDX = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    **{name: name for name in ("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0")},
}
"""What a classifier or the field `License` says → its SPDX name."""
HEAD = """# Licences of other people's work

The code of this repository is Apache-2.0. `make licences` writes this page from the metadata of the locked packages.
What they do not state, and the libraries in their wheels, is in `deploy/locks/bundled.toml`. This is a list of facts,
no legal advice.

- **synth's image contains GPL code.** eSpeak NG (`espeakng-loader`) is GPL-3.0-or-later. It is loaded in an engine
  process of its own, only with `TTS_ENGINE=espeak`. PyAV (`av`) is BSD-3-Clause, but its wheel contains FFmpeg, which
  calls itself LGPL-3.0-or-later and is linked with x264 and x265, both GPL-2.0-or-later. synth loads them in its own
  process when it first needs FFmpeg; it encodes no video. Whoever passes the image on passes these libraries on, under
  their licences.
- The other images contain none of these. Their packages are under permissive licences, but for certifi (MPL-2.0).
- Not in the table: the base image (Debian, CPython), nats-server (Apache-2.0), models, voices, and the extras that you
  add with `SYNTH_EXTRAS` (torch, Pocket TTS). Nor the Rust crates that are compiled into pydantic-core and sentencex:
  their licences are permissive, and each wheel lists them in its folder `.dist-info/sboms` (PEP 770).
- `make sbom` writes a bill of materials for each image (CycloneDX 1.6, JSON) into `dist/sbom/`: what is in the table,
  with the versions, and the hashes of the files that pip may install.

| package | licence | in the images of |
|---|---|---|
"""


def locks() -> dict[str, set[str]]:
    """Name of a lock → the names of its packages."""
    pattern = re.compile(r"^([a-z0-9-]+)==", re.MULTILINE)
    return {path.stem: set(pattern.findall(path.read_text())) for path in sorted(HERE.glob("*.txt"))}


def bundled() -> dict[str, Any]:
    """Name of a package → what `bundled.toml` says of it."""
    return tomllib.loads((HERE / "bundled.toml").read_text())


def normal(name: str) -> str:
    """The name of a package as in the locks."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(package: Distribution) -> str:
    """The SPDX expression of the licence that the package states. Raises SystemExit if it states none that is known."""
    about, name = package.metadata, normal(package.metadata["Name"])
    if name in (own := bundled()):
        return str(own[name]["licence"])
    if expression := about.get("License-Expression"):
        return str(expression)
    stated = [line for line in about.get_all("Classifier") or () if line.startswith("License ::")]
    known = sorted({SPDX[one] for one in stated or [about.get("License", "")] if one in SPDX})
    if not known:
        raise SystemExit(f"{name} states no known licence: add it to SPDX, or its licence to bundled.toml")
    return " OR ".join(known)


def unnamed(site: Path) -> list[str]:
    """The libraries in the wheels that `bundled.toml` does not name."""
    named = {(one["folder"], file) for one in bundled().values() for lib in one["libraries"] for file in lib["files"]}
    folders = {path.name for path in site.glob("*.libs")} | {folder for folder, _ in named}
    found = [(folder, path.name) for folder in sorted(folders) for path in (site / folder).glob("lib*.so*")]
    return [
        f"{folder}/{file}" for folder, file in found if (folder, re.split(r"-[0-9a-f]{8}|\.so", file)[0]) not in named
    ]


def page(site: Path) -> str:
    """The page, for the packages that are installed in this `site-packages`."""
    packages = {normal(one.metadata["Name"]): one for one in importlib.metadata.distributions(path=[str(site)])}
    images = locks()
    images.pop("build")  # it is in no image
    everywhere, rows = images.pop("runtime"), []
    for name in sorted(everywhere.union(*images.values())):
        where = "all" if name in everywhere else ", ".join(image for image, names in images.items() if name in names)
        rows.append(f"| {name} | {licence(packages[name])} | {where} |\n")
        for library in bundled().get(name, {}).get("libraries", ()):
            rows.append(f"| – in its wheel: {library['name']} | {library['licence']} | {where} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    (site_packages,) = Path(sys.argv[1]).glob("lib/python*/site-packages")
    if libraries := unnamed(site_packages):
        raise SystemExit(f"bundled.toml does not name: {', '.join(libraries)}")
    if "--check" not in sys.argv:
        PAGE.write_text(page(site_packages))
    elif PAGE.read_text() != page(site_packages):
        raise SystemExit(f"{PAGE.name} does not have what the packages state: make licences")
