"""The wheels of `make dist` in an environment of their own, without the repository: `make test-dist`.

The node is started in the folder of a user's project that has a package `services` of its own.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.dist, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
BIN = ROOT / ".venv-dist/bin"
SOURCES = {"orastream": "shared/", "orastream_services": ""}
"""Name of a wheel → the folder of its packages in the repository."""
ENVIRONMENT = {name: os.environ[name] for name in ("HOME", "LANG", "LC_ALL", "TMPDIR") if name in os.environ} | {
    "PATH": os.defpath
}


@pytest.fixture(scope="session", autouse=True)
def made() -> None:
    """Skips where `make test-dist` has not made the environment."""
    if not (BIN / "orastream").exists():
        pytest.skip("needs .venv-dist, which `make test-dist` makes")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a user's project. Whoever imports its package `services` or its module `json` fails."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "services").mkdir()
    (folder / "services/__init__.py").write_text("raise ImportError('the services of another project')\n")
    (folder / "json.py").write_text("raise ImportError('the json of another project')\n")
    return folder


def run(folder: Path, *command: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout_s)


@pytest.mark.parametrize("name", SOURCES)
def test_wheel_and_source_archive_have_every_file_of_the_repository(name: str) -> None:
    """And nothing else: no test, no file that only lies in a build folder."""
    (wheel,) = DIST.glob(f"{name}-[0-9]*.whl")
    packed = {entry for entry in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in entry}
    source = SOURCES[name]
    listing = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    package = source + name.partition("_")[2] if "_" in name else source + name
    tracked = run(ROOT, *listing, package).stdout.split()
    assert packed == {path.removeprefix(source) for path in tracked if (ROOT / path).exists()}
    assert any(entry.endswith(".dist-info/licenses/LICENSE") for entry in zipfile.ZipFile(wheel).namelist())
    (archive,) = DIST.glob(f"{name}-[0-9]*.tar.gz")
    assert packed < {path.partition("/")[2] for path in run(ROOT, "tar", "tzf", str(archive)).stdout.split()}


def test_packages_are_installed_from_the_wheels() -> None:
    code = "import orastream, services.synth; print(orastream.__file__, services.synth.__file__)"
    done = run(Path("/"), str(BIN / "python"), "-P", "-c", code)
    assert done.returncode == 0, done.stderr
    assert all("/.venv-dist/lib/" in path for path in done.stdout.split()), done.stdout
    check = run(Path("/"), sys.executable, "-m", "pip", "--python", str(BIN / "python"), "check")
    assert check.returncode == 0, check.stdout


@pytest.fixture(scope="module")
def nats_url(project: Path) -> Iterator[str]:
    """A node of `orastream up`, started in the folder of the project."""
    ports = ("--nats-port", "0", "--gateway-port", "0", "--oraserver-port", "0")
    log = project / "up.log"
    with log.open("wb") as out:
        command = [BIN / "orastream", "up", "--data-dir", project / "data", *ports]
        # In a session of its own, so that it has no terminal, as under systemd.
        up = subprocess.Popen(command, cwd=project, env=ENVIRONMENT, stdout=out, stderr=out, start_new_session=True)
    try:
        deadline = time.monotonic() + 90
        while not (found := re.search(r"nats://127\.0\.0\.1:\d+", log.read_text())):
            assert up.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield found[0]
    finally:
        up.send_signal(signal.SIGTERM)
        try:
            code = up.wait(30)
        finally:
            up.kill()
    assert code == 0, log.read_text()


def test_node_speaks(project: Path, nats_url: str) -> None:
    saved = project / "hello.wav"
    command = ("say", "안녕하세요. 반갑습니다.", "--sync", "--nats", nats_url, "--save", str(saved))
    said = run(project, str(BIN / "orastream"), *command)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "delivered" in said.stdout
    assert saved.stat().st_size > 20_000


def test_reading_is_that_of_the_node(project: Path) -> None:
    done = run(project, str(BIN / "orastream"), "reading", "3명")
    assert (done.returncode, done.stdout) == (0, "세 명\n"), done.stderr


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_command_of_the_readme_shows_the_options_of_oraserver(project: Path, readme: str) -> None:
    """As it is printed there, with the interpreter of this environment."""
    (command,) = re.findall(r"`\.venv/bin/(python [^`]*services\.oraserver --help)`", (ROOT / readme).read_text())
    python, *arguments = shlex.split(command)
    done = run(project, str(BIN / python), *arguments)
    assert done.returncode == 0, done.stderr
    unsafe = run(project, str(BIN / python), *(one for one in arguments if one != "-P"))
    assert "of another project" in unsafe.stderr, "the folder has no package that is in the way"
    assert "--data-dir" in done.stdout
