"""What importing the library costs: nothing but itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

HEAVY = (
    "torch",
    "nats",
    "pydantic",
    "aiohttp",
    "typer",
    "rich",
    "prometheus_client",
    "uvloop",
    "opentelemetry",
    "services",
)


def loaded(statement: str) -> set[str]:
    """Top-level modules that are there after `statement` in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint('\\n'.join({{name.partition('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_import_orastream_loads_nothing_else() -> None:
    """Names are loaded when first used; no extra, no engine, no service."""
    assert loaded("import orastream").isdisjoint(HEAVY)


def test_client_needs_no_extra() -> None:
    """`pip install ./shared` alone gives Client and BlockingClient."""
    modules = loaded("from orastream import BlockingClient, Client, Report")
    assert modules.isdisjoint({"torch", "typer", "prometheus_client", "uvloop", "opentelemetry", "services"})


def test_package_has_every_public_name() -> None:
    """`__all__` tells the truth."""
    import orastream

    assert all(getattr(orastream, name) is not None for name in orastream.__all__)
    with pytest.raises(AttributeError):
        orastream.no_such_name  # noqa: B018 - the access is what is tested
