"""Refused permissions, found by their subject."""

from __future__ import annotations

import pytest

from orastream.broker.refusals import Refusals

pytestmark = pytest.mark.unit

PUBLISH = 'nats: permissions violation for publish to "$js.api.info"'


def test_refusal_is_noted_once_and_found_by_its_subject() -> None:
    refusals = Refusals()
    assert refusals.of("$JS.API.INFO") is None
    assert refusals.note(PUBLISH)
    assert not refusals.note(PUBLISH)
    assert refusals.note('nats: Permissions Violation for Subscription to "_INBOX.Ab.*"')
    assert refusals.of("$JS.API.INFO") == 'publish to "$js.api.info"'
    assert refusals.of("tts.x", "_INBOX.Ab.*") == 'subscription to "_inbox.ab.*"'
    assert refusals.of("$JS.API", "INFO") is None


def test_note_ignores_other_errors() -> None:
    refusals = Refusals()
    assert not refusals.note("nats: stale connection")
    assert not refusals.note("")


def test_note_drops_the_oldest_refusals() -> None:
    refusals = Refusals()
    for n in range(1000):
        assert refusals.note(f'permissions violation for publish to "s.{n}"')
    assert refusals.of("s.0") is None
    assert refusals.of("s.999") is not None
