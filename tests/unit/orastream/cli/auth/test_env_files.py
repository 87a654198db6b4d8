"""The env files of the roles."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from dotenv import dotenv_values

from orastream.cli.auth.accounts import CallerAccount
from orastream.cli.auth.env_files import Place, all_roles, env_text, seed_in

pytestmark = pytest.mark.unit

CALLERS = (CallerAccount("SHOP"),)
HERE = Place(Path("/srv/auth"), "10.0.0.5", tls=False)


def values(role: str, place: Place = HERE) -> dict[str, str | None]:
    return dotenv_values(stream=io.StringIO(env_text(role, "SUAX", CALLERS, place)), interpolate=False)


def test_roles_are_those_of_the_node_and_of_the_callers() -> None:
    assert all_roles(CALLERS)[-2:] == ("observer", "shop")


def test_a_service_learns_its_key_its_inboxes_and_the_accounts_of_callers_and_no_address() -> None:
    assert values("synth") == {
        "NATS_NKEY_SEED": "SUAX",
        "NATS_INBOX_PREFIX": "_INBOX_synth",
        "TTS_CALLERS": "CALLERS,SHOP",
    }


@pytest.mark.parametrize("role", ["llm", "observer", "shop"])
def test_a_caller_learns_the_address_and_keeps_the_usual_inboxes(role: str) -> None:
    assert values(role) == {
        "NATS_NKEY_SEED": "SUAX",
        "NATS_INBOX_PREFIX": "_INBOX",
        "NATS_URL": "nats://10.0.0.5:4222",
    }


def test_with_tls_each_role_has_a_certificate() -> None:
    place = Place(Path("/srv/auth"), "::1", tls=True)
    assert values("llm", place) | {"NATS_NKEY_SEED": ""} == {
        "NATS_NKEY_SEED": "",
        "NATS_INBOX_PREFIX": "_INBOX",
        "NATS_URL": "tls://[::1]:4222",
        "NATS_CA": "/srv/auth/tls/llm/ca.crt",
        "NATS_CERT": "/srv/auth/tls/llm/client.crt",
        "NATS_KEY": "/srv/auth/tls/llm/client.key",
    }
    synth = values("synth", place)
    assert (synth["NATS_URL"], synth["NATS_CA"]) == ("tls://nats:4222", "/etc/nats/tls/ca.crt")


def test_the_seed_is_read_back() -> None:
    seed = "SU" + "A2" * 28
    assert seed_in(env_text("synth", seed, CALLERS, HERE)) == seed
    assert seed_in("NATS_NKEY_SEED=\n# NATS_NKEY_SEED=SUAA\n") is None
