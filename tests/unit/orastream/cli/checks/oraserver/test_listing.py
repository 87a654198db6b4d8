"""The listing of a server is read leniently, and compared exactly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.cli.checks.oraserver.listing import KeptSentence, Sent, StoredUtterance, difference, read_listing
from orastream.cli.checks.oraserver.utterances import Utterance, utterance_in
from orastream.contract.audio import FORMATS, Format, with_true_sizes

pytestmark = pytest.mark.unit

SAID = Utterance("s", "p", "r", "pcm16", (b"ab", b"cd", b"ef"))


ENTRY = b'{"utterances":[{"sessionId":"s","phoneId":"p","requestId":"r","complete":true,"bytes":%b,"sha256":"%b"}]}'


def stored(sent: Sent, **changed: object) -> StoredUtterance:
    """What a server that keeps the rules lists."""
    said = sent.utterance
    fields = {
        "sessionId": said.session,
        "phoneId": said.phone,
        "requestId": said.request,
        "bytes": said.size(sent.stop),
        "complete": sent.complete,
        "sha256": hashlib.sha256(b"".join(said.parts[: sent.stop])).hexdigest(),
    }
    return StoredUtterance.model_validate(fields | changed)


@given(
    parts=st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=8).map(tuple),
    stop=st.none() | st.integers(0, 8),
    complete=st.booleans(),
    others=st.integers(0, 3),
)
def test_what_was_sent_does_not_differ(parts: tuple[bytes, ...], stop: int | None, complete: bool, others: int) -> None:
    sent = Sent(replace(SAID, parts=parts), complete, stop)
    strangers = [stored(Sent(replace(SAID, request=f"other {number}"))) for number in range(others)]
    assert difference([sent], [*strangers, stored(sent)]) is None


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"phoneId": "q"}, "has phone 'q'; it was sent for 'p'"),
        ({"bytes": 8}, "has 8 bytes; 6 were sent: some were stored twice"),
        ({"bytes": 4}, "has 4 bytes; 6 were sent: some are missing"),
        ({"sha256": "0" * 64}, "has other bytes than were sent"),
        ({"complete": False}, "is not complete in the listing"),
        ({"requestId": "x"}, "is not in the listing"),
        ({"sessionId": "x"}, "is not in the listing"),
    ],
)
def test_a_difference_is_named(changed: dict[str, object], says: str) -> None:
    found = difference([Sent(SAID)], [stored(Sent(SAID), **changed)])
    assert found is not None and says in found and "'r'" in found


def test_an_utterance_that_is_listed_twice_is_named() -> None:
    assert "is 2 times in the listing" in str(difference([Sent(SAID)], [stored(Sent(SAID))] * 2))


def test_a_wav_may_have_its_true_sizes() -> None:
    said = utterance_in("wav", "s", "p", "r", 4_096)
    whole = bytes(with_true_sizes(bytearray(b"".join(said.parts))))
    corrected = stored(Sent(said), sha256=hashlib.sha256(whole).hexdigest())
    assert difference([Sent(said)], [stored(Sent(said))]) is None
    assert difference([Sent(said)], [corrected]) is None


def test_a_digest_may_have_capital_letters() -> None:
    listed = stored(Sent(SAID))
    assert stored(Sent(SAID), sha256=listed.sha256.upper()) == listed


def test_an_optional_utterance_may_be_missing_but_not_wrong() -> None:
    sent = Sent(SAID, complete=False, optional=True)
    assert difference([sent], []) is None
    assert difference([sent], [stored(Sent(SAID))]) is not None


def test_what_a_server_says_is_shown_in_one_short_line() -> None:
    found = difference([Sent(SAID)], [stored(Sent(SAID), phoneId="\x1b[31m" + "x" * 100_000)])
    assert found is not None and "\x1b" not in found and len(found) < 400


def test_unknown_keys_are_ignored() -> None:
    entry = json.loads(stored(Sent(SAID)).model_dump_json(by_alias=True)) | {"more": 1}
    listing = read_listing(json.dumps({"utterances": [entry], "dataDir": "/x"}).encode())
    assert listing.utterances == [stored(Sent(SAID))]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "body:"),
        (b"{}", "utterances:"),
        (b'{"utterances":[{"sessionId":"s"}]}', "utterances.0.phoneId:"),
        (b"[1]", "body: must be an object"),
        (ENTRY % (b"1e99", b"0" * 64), "utterances.0.bytes:"),
        (ENTRY % (b"1", b"sha256:00"), "utterances.0.sha256:"),
    ],
)
def test_an_answer_that_cannot_be_used_names_the_field(body: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_listing(body)


@pytest.mark.parametrize("fmt", FORMATS)
def test_each_format_has_a_file_in_several_chunks(fmt: Format) -> None:
    said = utterance_in(fmt, "s", "p", "r", 1_024)
    assert len(said.parts) > 2 and all(map(len, said.parts))
    assert [chunk.index for chunk in said.chunks(1, 3)] == [1, 2]


SENTENCES = (KeptSentence(0, 0, "네.", [[0, 1, 0, 20]]), KeptSentence(1, 40, "Yes.", []))
LISTED = [{"n": 0, "ms": 0, "text": "네.", "words": [[0, 1, 0, 20]]}, {"n": 1, "ms": 40, "text": "Yes.", "words": None}]


@pytest.mark.parametrize("listed", [LISTED, None, 1, "no list", ["other things"], [{"number": 0}]])
def test_sentences_are_compared_if_the_listing_has_them(listed: object) -> None:
    sent = Sent(SAID, sentences=SENTENCES)
    assert difference([sent], [stored(sent, sentences=listed)]) is None


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        ([*LISTED, LISTED[1]], "the listing has the sentences [0, 1, 1]; sent were [0, 1]"),
        (LISTED[:1], "the listing has the sentences [0]; sent were [0, 1]"),
        ([], "the listing has the sentences []; sent were [0, 1]"),
        ([LISTED[0], LISTED[1] | {"ms": 50}], "sentence 1 has ms 50; it must have 40"),
        ([LISTED[0] | {"words": []}, LISTED[1]], "sentence 0 has words []; it must have [[0, 1, 0, 20]]"),
        ([LISTED[0], LISTED[1] | {"words": [[1, 1, 1, 1]]}], "sentence 1 has words [[1, 1, 1, 1]]; it must have []"),
        ([LISTED[0], {"n": 1}], "sentence 1 has ms None; it must have 40"),
    ],
)
def test_other_sentences_are_named(listed: list[object], says: str) -> None:
    sent = Sent(SAID, sentences=SENTENCES)
    found = difference([sent], [stored(sent, sentences=listed)])
    assert found is not None and found.endswith(says), found
