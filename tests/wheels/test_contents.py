"""What is in the images, looked up in the installed packages: the page of licences, and the bills of material."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.dist, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
TOOLS, ENVIRONMENT = ROOT / ".venv-tools/bin", ROOT / ".venv-dist"
LOCKS = ROOT / "deploy/locks"


def run(*command: str | Path) -> str:
    """Run a tool. Raises AssertionError with what it says if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session", autouse=True)
def made() -> None:
    """Skips where `make test-dist` has not made the environment."""
    if not (ENVIRONMENT / ".installed").exists():
        pytest.skip("needs .venv-dist, which `make test-dist` makes")


def test_page_of_licences_has_what_the_packages_state() -> None:
    run(TOOLS / "python", LOCKS / "licences.py", ENVIRONMENT, "--check")


def test_bill_of_an_image_has_its_packages_and_the_libraries_in_them(tmp_path: Path) -> None:
    node = tmp_path / "node.json"
    run(TOOLS / "cyclonedx-py", "environment", "--of", "JSON", "-o", node, ENVIRONMENT / "bin/python")
    run(TOOLS / "python", LOCKS / "sbom.py", node, tmp_path)
    bills = {path.name.partition(".")[0]: json.loads(path.read_text()) for path in tmp_path.glob("*.cdx.json")}
    assert bills.keys() == {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
    components = {image: {one["name"]: one for one in bill["components"]} for image, bill in bills.items()}
    assert all("nats-py" in names and "orastream" in names and "typer" not in names for names in components.values())
    assert "x264" in components["synth"] and "x264" not in components["gateway"]
    (av,) = [one for one in components["synth"]["av"]["externalReferences"] if one["type"] == "distribution"]
    lock = (LOCKS / "synth.txt").read_text()
    assert av["hashes"] and all(f"sha256:{one['content']}" in lock for one in av["hashes"])
    assert f"av=={components['synth']['av']['version']} " in lock
