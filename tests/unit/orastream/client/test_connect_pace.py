"""After a failed attempt callers get the error at once, and the next attempt does not keep them waiting."""

from __future__ import annotations

import pytest

from orastream.client.connect_pace import PATIENCE_S, PAUSE_S, ConnectPace

pytestmark = pytest.mark.unit


def test_the_first_attempt_is_waited_for() -> None:
    pace = ConnectPace()
    assert not pace.pauses(0.0) and pace.patience_s(0.0, 100.0) is None


def test_a_failure_begins_a_pause_and_limits_the_wait_for_later_attempts() -> None:
    pace = ConnectPace()
    pace.failed("refused", 10.0)
    assert pace.problem == "refused"
    assert pace.pauses(10.0) and pace.pauses(10.0 + PAUSE_S - 0.01) and not pace.pauses(10.0 + PAUSE_S)
    assert pace.patience_s(12.0, 12.0) == PATIENCE_S
    assert pace.patience_s(12.0, 12.0 + PATIENCE_S / 2) == PATIENCE_S / 2
    assert pace.patience_s(12.0, 20.0) == 0


def test_a_connection_ends_both() -> None:
    pace = ConnectPace()
    pace.failed("refused", 10.0)
    pace.connected()
    assert not pace.pauses(10.0) and pace.patience_s(0.0, 10.0) is None and pace.problem is None
