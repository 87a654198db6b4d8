"""`HeardStore` against a real nats-server: who may replace a record, and what a lost ack means."""

from __future__ import annotations

import pytest

from orastream.contract.heard import Heard
from orastream.jetstream.api import JetStream
from orastream.jetstream.heard_store import HeardStore
from tests.support.names import NAMES

pytestmark = pytest.mark.integration

RECORD = Heard(request_id="전화 1", session_id="s", request_seq=5, epoch=3, done=False, heard_by="sent")


async def test_a_record_replaces_the_one_at_the_known_revision(js: JetStream) -> None:
    store = HeardStore(js)
    first = await store.write(RECORD, "json", 0)
    done = RECORD.with_(done=True, played_ms=10, heard_text="네", unheard_text="", cut="words", cancel_seq=7)
    second = await store.write(done, "msgpack", first)
    assert first and second and second > first
    (state,) = await store.of_session("s")
    assert (state.heard, state.revision, state.encoding) == (done, second, "msgpack")


async def test_a_write_whose_ack_was_lost_is_not_repeated(js: JetStream) -> None:
    store = HeardStore(js)
    first = await store.write(RECORD, "json", 0)
    assert await store.write(RECORD, "json", 0) == first


@pytest.mark.parametrize(
    ("changes", "replaces"),
    [
        ({"epoch": 4}, True),
        ({"epoch": 3, "done": True}, True),
        ({"epoch": 2}, False),
        ({"request_seq": 6, "epoch": 1}, True),
        ({"request_seq": 4, "epoch": 9}, False),
    ],
)
async def test_who_may_replace_a_record(js: JetStream, changes: dict[str, object], replaces: bool) -> None:
    store, other = HeardStore(js), RECORD.with_(**changes)
    await store.write(RECORD, "json", 0)
    assert (await store.write(other, "json", 0) is not None) == replaces
    assert (await store.of_session("s"))[0].heard == (other if replaces else RECORD)


async def test_what_was_never_sent_does_not_replace_what_an_earlier_owner_has_begun(js: JetStream) -> None:
    store = HeardStore(js)
    await store.write(RECORD, "json", 0)
    unheard = RECORD.with_(epoch=9, done=True, played_ms=0)
    assert await store.write(unheard, "json", 0, if_first=True) is None
    later = unheard.with_(request_seq=6)
    assert await store.write(later, "json", 0, if_first=True) is not None


async def test_foreign_messages_in_the_stream_are_no_records_and_are_replaced(js: JetStream) -> None:
    store = HeardStore(js)
    await js.store(NAMES.put_heard("s", "r"), b"no record")
    await js.store(NAMES.put_heard("s", "other"), RECORD.encode("json"))  # with the ids of another subject
    await js.store(NAMES.put_heard("s", "none"), RECORD.with_(request_id="").encode("json"))
    assert await store.of_session("s") == []
    mine = RECORD.with_(request_id="r")
    assert await store.write(mine, "json", 0) is not None
    assert [state.heard for state in await store.of_session("s")] == [mine]


async def test_records_that_are_all_done_are_not_read_for_a_next_owner(js: JetStream) -> None:
    store, done = HeardStore(js), RECORD.with_(done=True, played_ms=1, heard_text='"done":true', unheard_text="")
    await store.write(done.with_(request_id="r1"), "json", 0)
    assert await store.if_undone("s") == [] and not await store.plays("s")
    await store.write(RECORD.with_(request_id="r2"), "json", 0)
    assert [state.heard.request_id for state in await store.if_undone("s")] == ["r1", "r2"] and await store.plays("s")
