"""The text of the server's configuration; tests/integration has nats-server read it."""

from __future__ import annotations

import re

import pytest

from orastream.cli.auth.accounts import CallerAccount
from orastream.cli.auth.env_files import all_roles
from orastream.cli.auth.server_config import TLS_CONF, accounts_conf
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

CALLERS = (CallerAccount("SHOP"), CallerAccount("HALL", ("lobby", "stage")))
TEXT = accounts_conf(CALLERS, {role: f"U{role.upper()}" for role in all_roles(CALLERS)})
EXPORTS = dict(re.findall(r'^      \{(?:service|stream): "([^"]+)"(.*)\}$', TEXT, re.MULTILINE))


def test_the_answer_of_tts_speak_may_take_as_long_as_a_caller_waits() -> None:
    """The server's default is two minutes; a later answer would be dropped."""
    assert 'response_threshold: "1h"' in EXPORTS["tts.of.SHOP.speak"]


def test_what_has_one_answer_is_forgotten_after_it() -> None:
    several = {subject for subject, rest in EXPORTS.items() if "response_type: stream" in rest}
    assert {NAMES.asked_by(one)[1] for one in several} == {
        *("tts.voices", "tts.reports.read", "tts.reports.read.*", "tts.report.read.*.*", "tts.audio.read.*.*"),
        *("tts.heard.read.*.*", "tts.heards.read.*"),
    }


def test_each_export_names_the_accounts_that_may_import_it() -> None:
    assert EXPORTS and all("accounts: [" in rest for rest in EXPORTS.values())
    assert 'accounts: ["SHOP"]' in EXPORTS["tts.of.SHOP.speak"]
    assert "tts.of.HALL.speak" not in EXPORTS and "tts.speak" not in EXPORTS
    assert 'accounts: ["CALLERS"]' in EXPORTS["tts.voices"]
    assert 'accounts: ["HALL"]' in EXPORTS["tts.of.HALL.voices"]
    assert 'accounts: ["SHOP"]' in EXPORTS["tts.relay.SHOP.request.*"]
    assert 'accounts: ["CALLERS"]' in EXPORTS["tts.request-CALLERS.*"]
    assert "tts.request-SHOP.*" not in EXPORTS, "its requests pass the relay"
    assert 'accounts: ["CALLERS", "OBSERVERS", "HALL"]' in EXPORTS["tts.report.*.*"]
    assert 'accounts: ["CALLERS", "HALL"]' in EXPORTS["tts.heard.*.*"], "it is text"
    assert 'accounts: ["CALLERS", "OBSERVERS", "HALL"]' in EXPORTS["tts.progress.*.*"], "it has no text"
    assert 'accounts: ["SHOP"]' in EXPORTS["tts.of.SHOP.heard.read.*.*"]
    assert "tts.of.SHOP.heards.read.*" not in EXPORTS, "it may not list the requests of a session"
    assert not any(subject.startswith("tts.of.OBSERVERS.heard") for subject in EXPORTS)


def test_only_the_nodes_account_has_jetstream() -> None:
    assert TEXT.count("jetstream") == 1


def test_tls_asks_clients_for_certificates() -> None:
    assert "verify: true" in TLS_CONF
