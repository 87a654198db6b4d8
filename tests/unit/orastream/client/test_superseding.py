"""A request that supersedes in a full session: what comes after the cancel."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orastream.client import superseding
from orastream.contract.errors import Overloaded, StreamFull
from orastream.jetstream.answers import Ack

pytestmark = pytest.mark.unit

SESSION = StreamFull("tts.request.s", 10077, "maximum messages per subject exceeded")
NODE = StreamFull("tts.request.s", 10077, "maximum bytes exceeded")
ACK = Ack(7, duplicate=False)


async def stored(answers: Sequence[Ack | StreamFull], done: list[str]) -> Ack:
    """Store with these answers of the server, one after the other; the last one again and again."""
    rest = list(answers)

    async def store() -> Ack:
        answer = rest.pop(0) if len(rest) > 1 else rest[0]
        done.append("store")
        if isinstance(answer, StreamFull):
            raise answer
        return answer

    async def cancel() -> int:
        done.append("cancel")
        return 1

    return await superseding.store_superseding("s", store, cancel)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(superseding, "TRY_AGAIN_AFTER_S", (0.0, 0.0, 0.0))


async def test_a_session_with_room_is_not_cancelled() -> None:
    done: list[str] = []
    assert await stored([ACK], done) == ACK and done == ["store"]


async def test_a_full_session_is_cancelled_once_and_asked_again() -> None:
    done: list[str] = []
    assert await stored([SESSION, SESSION, ACK], done) == ACK
    assert done == ["store", "cancel", "store", "store"]
    with pytest.raises(Overloaded, match="session s has no room"):
        await stored([SESSION], done)


@pytest.mark.parametrize("answers", [[NODE], [SESSION, NODE]], ids=["at once", "after the cancel"])
async def test_a_full_node_is_not_called_a_full_session(answers: list[StreamFull]) -> None:
    """The caller of a full node need not cancel anything of the session again."""
    done: list[str] = []
    with pytest.raises(StreamFull, match="maximum bytes"):
        await stored(answers, done)
    assert done == ["store", "cancel", "store"][: 2 * len(answers) - 1]
