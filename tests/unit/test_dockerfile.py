"""The Dockerfile without an engine: a target per service, and what `EXTRAS` adds to synth's."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from tests.support.monitoring import ROOT

pytestmark = pytest.mark.unit

DOCKERFILE = (ROOT / "Dockerfile").read_text()
TARGETS = re.findall(r"^FROM runtime AS (\w+)$", DOCKERFILE, re.MULTILINE)


def test_dockerfile_has_a_target_for_each_service() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    built = {name: service["build"]["target"] for name, service in compose.items() if "build" in service}
    assert built == {target: target for target in TARGETS}
    assert set(TARGETS) == {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}


@pytest.mark.parametrize("target", TARGETS)
def test_target_has_its_title_and_a_health_check(target: str) -> None:
    stage = DOCKERFILE.partition(f"FROM runtime AS {target}\n")[2].partition("\nFROM ")[0]
    assert "USER 10001:10001" in stage
    assert f'org.opencontainers.image.title="orastream {target}"' in stage
    assert f'CMD ["python", "-m", "services.{target}"]' in stage
    probe = re.search(r"^    CMD exec python -m orastream.service.probe (.+)$", stage, re.MULTILINE)
    assert probe is not None
    assert ("/healthz" in probe[1]) == (target == "oraserver"), (
        "only oraserver uses /healthz; the others use /readyz, which makes a NATS round trip"
    )


def test_the_packages_of_a_service_are_listed_in_its_own_extra() -> None:
    """The script leaves out what begins with orastream: an extra that only names another one would install nothing."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [requirement for target in TARGETS for requirement in extras[target]]
    assert named and not [requirement for requirement in named if requirement.startswith("orastream")]


def test_build_arg_extras_adds_the_requirements_of_pyproject() -> None:
    """`--build-arg EXTRAS=torch`: its requirements come beside all of synth's own. (torch itself is not built here.)"""

    def wanted(extras: str) -> set[str]:
        command = [sys.executable, ROOT / "deploy/locks/requirements.py", ROOT, extras]
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n"))

    assert any(requirement.startswith("torch==") for requirement in wanted("synth,torch") - wanted("synth"))
    assert wanted("synth") < wanted("synth,torch")
    for target in set(TARGETS) - {"synth"}:
        assert not any(requirement.startswith("torch") for requirement in wanted(target))


def test_every_package_of_an_image_is_locked() -> None:
    """pip installs what is in a lock, by its hash and nothing else; but for EXTRAS, and the code of this repository."""
    commands = re.findall(r"pip install (.*?)(?: &&|; \}|$)", DOCKERFILE.replace("\\\n", ""), re.MULTILINE)
    locked = [command for command in commands if "--require-hashes" in command]
    assert {name for one in locked for name in re.findall(r"-r locks/(\w+)\.txt", one)} == {
        *TARGETS,
        "runtime",
        "build",
    }
    assert all("--no-deps" in command for command in locked)
    others = [" ".join(command.split()) for command in commands if command not in locked]
    assert others == [
        "--prefix=/overlay -c /tmp/constraints -r /tmp/requirements",  # EXTRAS
        "--no-deps --no-build-isolation --prefix=/overlay ./shared .",
    ]
