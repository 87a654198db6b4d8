"""The figures in the pages for writers of an OraServer are those of the code."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path

import pytest

from orastream.base.backoff import Backoff
from orastream.contract.audio import EXTENSIONS, G711_RATE_HZ, PcmSpec
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.contract.messages import MAX_SAMPLE_RATE_HZ
from orastream.delivery.post.body import Body
from orastream.delivery.post.link import CONNECT_S, SILENCE_S
from orastream.delivery.rules.checkpoint import DELAY_S
from orastream.delivery.rules.confirmation import Confirmation
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.rules.utterance_effects import Connect, DeliveryRules, Finished
from orastream.delivery.sink import Speech
from orastream.delivery.websocket.connection import HANDSHAKE_S
from orastream.delivery.websocket.frames import FrameTemplate
from orastream.delivery.websocket.liveness import PONG_S
from orastream.jetstream.topology import REPORT_LIFE_S
from services.synth.audio.pcm_chunker import Cutting, PcmChunker
from services.synth.settings import SynthSettings

pytestmark = pytest.mark.unit

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "guide" / "oraserver.md").read_text()
LIMITS = (DOCS / "guide" / "oraserver-limits.md").read_text()
REFERENCE = (DOCS / "reference" / "oraserver-v1.md").read_text()
RULES = DeliveryRules()
ESPEAK_HZ = 22_050
KEYS_BYTES = 3_000
WIDEST_ID = '"' * 256
"""256 bytes of UTF-8 that take the most bytes in JSON, as an id has no control characters."""

Rows = list[list[str]]


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def rows(page: str, heading: str, begins: str) -> Rows:
    """The cells of the rows of the table below `heading` whose first line begins with `begins`."""
    text = section(page, heading)
    lines = text[text.index(f"| {begins}") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def numbers(cell: str) -> list[float]:
    """The numbers in a cell; a space between digits separates thousands."""
    return [float(number.replace(" ", "")) for number in re.findall(r"\d{1,3}(?: \d{3})+|\d+(?:\.\d+)?", cell)]


def setting(name: str) -> int:
    """The default of a setting of synth."""
    return int(SynthSettings.model_fields[name].default)


# ---- Confirmation


@pytest.mark.parametrize("row", [0, 1, 2])
def test_confirmation_table_of_the_guide(row: int) -> None:
    _, ping, limit, first, most, _ = rows(GUIDE, "Confirmation", "your server")[row]
    quick = row == 0
    every_s = RULES.quick_confirm_every_s if quick else RULES.confirm_every_s
    max_s = RULES.quick_max_unconfirmed_s if quick else RULES.max_unconfirmed_s
    if row < 2:
        assert numbers(ping) == [RULES.confirm_every, every_s]
        assert numbers(limit) == [max_s, (RULES.max_unconfirmed_bytes or 0) / 1024]
    asked, written, seconds, size = until_held(quick=quick)
    assert numbers(first) == [asked[0], asked[1]]
    assert numbers(most) == [written, seconds, size]


def until_held(*, quick: bool) -> tuple[tuple[int, float], int, float, int]:
    """Write speech in the defaults without an answer.

    Returns chunks and seconds before the first ping, then chunks, seconds and kB until no chunk may be written.
    """
    chunker = PcmChunker(PcmSpec(ESPEAK_HZ), Cutting(setting("websocket_chunk_size")), header=b"\0" * 44)
    pieces = chunker.push(b"\0" * (2 * ESPEAK_HZ * 20), 0)
    chunks = [AudioChunk(1, piece.index, piece.pts_ms, 0, piece.audio) for piece in pieces]
    confirmation = Confirmation(RULES, 0)
    confirmation.start_over(0, quick=quick)
    first: tuple[int, float] | None = None
    size = 0
    for chunk in chunks:
        if confirmation.due or confirmation.holds(chunk):
            if confirmation.asked < confirmation.written:
                first = first or (chunk.index, round(chunk.pts_ms / 1000, 2))
                confirmation.ask(0.0)
            if confirmation.holds(chunk):
                assert first is not None
                return first, chunk.index, round(chunk.pts_ms / 1000, 2), round(size / 1000)
        confirmation.wrote(chunk)
        size += len(chunk.audio)
    raise AssertionError("all chunks were written")


def test_confirmation_tables_of_the_reference() -> None:
    asked = [numbers(row[0]) for row in rows(REFERENCE, "Confirmation", "a ping is sent")]
    assert asked[0] == [RULES.confirm_every]
    assert asked[2] == [RULES.confirm_every_s, RULES.quick_confirm_every_s]
    quick, slow = rows(REFERENCE, "Confirmation", "receiver")
    assert numbers(quick[0]) == [RULES.quick_answer_s]
    assert numbers(quick[1]) == [RULES.quick_max_unconfirmed_s]
    assert numbers(slow[1]) == [RULES.max_unconfirmed_s]
    assert numbers(quick[2]) == numbers(slow[2]) == [(RULES.max_unconfirmed_bytes or 0) / 1024]


def test_guide_says_after_which_time_an_utterance_fails_without_pongs() -> None:
    cell = rows(GUIDE, "Confirmation", "your server")[2][5]
    timeout_s, least, most = numbers(cell)
    assert timeout_s == PONG_S
    assert least <= given_up(PONG_S, jitter=-1)[1] + 1 and given_up(PONG_S, jitter=1)[1] <= most  # + 1: synthesis


# ---- If you are restarted


class Jitter(random.Random):
    """Gives the least (-1) or the greatest (1) waits of a Backoff."""

    def __init__(self, sign: int) -> None:
        super().__init__()
        self._value = (1 + sign) / 2

    def random(self) -> float:
        """Always the same value."""
        return self._value


def given_up(try_s: float, *, jitter: int, connected: bool = False, retries: int | None = None) -> tuple[float, float]:
    """When the last try begins and when the request fails, in seconds, if each try fails after `try_s` seconds.

    Counted from the break of a connection (`connected`), or from the first try.
    """
    rules = RULES if retries is None else DeliveryRules(max_retries=retries)
    machine = UtteranceDelivery(1, rules, 0.0, backoff=Backoff(1, 1, rng=Jitter(jitter)))
    now = tried_at = 0.0
    waits_s = 0.0 if connected else try_s
    while True:
        effect = machine.poll(now, may_write=True, room=True)
        if isinstance(effect, Finished):
            assert effect.error is not None and effect.error.code == "oraserver_unreachable"
            return tried_at, now
        if isinstance(effect, Connect):
            tried_at = now
            now += waits_s
            waits_s = try_s
            machine.link_lost("no answer", now)
        else:
            now = machine.next_time() or now


def test_guide_says_how_long_a_restart_may_take() -> None:
    refused, silent, silent_new, http_refused, http_silent, unanswered = rows(
        GUIDE, "How long you have", "while you are away"
    )
    assert HANDSHAKE_S == CONNECT_S == numbers(silent[0])[0] == numbers(http_silent[0])[0]
    assert numbers(unanswered[0]) == [SILENCE_S]
    for row, try_s, connected in (
        (refused, 0.0, True),
        (silent, HANDSHAKE_S, True),
        (silent_new, HANDSHAKE_S, False),
        (http_refused, 0.0, False),
        (http_silent, CONNECT_S, False),
        (unanswered, SILENCE_S, False),
    ):
        for cell, which in zip(row[1:], (0, 1), strict=True):
            found = [round(given_up(try_s, jitter=sign, connected=connected)[which], 1) for sign in (-1, 1)]
            assert numbers(cell) == found, row[0]


def test_guide_says_the_waits_between_tries() -> None:
    text = section(GUIDE, "How long you have")
    least, most = (Backoff(RULES.first_retry_s, RULES.max_retry_s, rng=Jitter(sign)) for sign in (-1, 1))
    waits = [(least.next_s() + most.next_s()) / 2 for _ in range(RULES.max_retries)]
    listed = ", ".join(f"{wait:g}" for wait in waits[:-1]) + f" and {waits[-1]:g} s"
    assert (
        f"tries again after {listed}, each ± {least.jitter * 100:g} % (`WEBSOCKET_MAX_RETRIES` {RULES.max_retries})"
        in text
    )


def test_guide_says_enough_retries_and_not_too_many() -> None:
    for restart, retries in rows(GUIDE, "How long you have", "your restart takes"):
        enough = int(retries)
        assert given_up(0.0, jitter=-1, connected=True, retries=enough)[0] >= numbers(restart)[0] - 1e-9
        assert given_up(0.0, jitter=-1, connected=True, retries=enough - 1)[0] < numbers(restart)[0]


def test_guide_says_how_long_to_keep_what() -> None:
    unfinished, finished, longest = (numbers(row[1])[0] for row in rows(GUIDE, "How long to keep what", "what"))
    assert unfinished == finished == RULES.audio_retention_s
    assert longest == REPORT_LIFE_S
    taken_over = rows(GUIDE, "What comes again", "what happened")[1]
    assert numbers(taken_over[1]) == [DELAY_S]


def test_guide_says_how_long_a_cancel_waits() -> None:
    for row in rows(GUIDE, "Barge-in", "at the cancel")[:2]:
        assert numbers(row[0]) == [RULES.settle_s]


# ---- sizes


def frame_limit(chunk_bytes: int, text_chars: int) -> int:
    """The formula of the page."""
    return 4 * -(-chunk_bytes // 3) + 6 * text_chars + KEYS_BYTES


def widest(text: str) -> tuple[Speech, AudioStart]:
    """An utterance whose metadata take the most bytes."""
    name = "\u0001" * 64
    speech = Speech(WIDEST_ID, WIDEST_ID, WIDEST_ID, "~" + "A" * 342, text)
    return speech, AudioStart(1, "mulaw", MAX_SAMPLE_RATE_HZ, 1, name, name)


def test_limits_page_has_the_formula_and_its_results() -> None:
    assert f"+ 6 × TTS_MAX_TEXT_CHARS + {KEYS_BYTES // 1000} 000` bytes" in section(
        LIMITS, "The largest WebSocket frame"
    )
    table = rows(LIMITS, "The largest WebSocket frame", "`WEBSOCKET_CHUNK_SIZE`")
    for chunk, text, encoded, spoken, frame in table:
        chunk_bytes, text_chars = int(numbers(chunk)[0]), int(numbers(text)[0])
        assert [*numbers(encoded), *numbers(spoken)] == [4 * -(-chunk_bytes // 3), 6 * text_chars]
        assert numbers(frame) == [frame_limit(chunk_bytes, text_chars)]
    defaults = [setting("websocket_chunk_size"), setting("tts_max_text_chars")]
    assert [numbers(cell)[0] for cell in table[0][:2]] == defaults
    largest = max(getattr(limit, "le", 0) for limit in SynthSettings.model_fields["websocket_chunk_size"].metadata)
    assert [numbers(cell)[0] for cell in table[2][:2]] == [largest, defaults[1]]
    assert frame_limit(largest, defaults[1]) <= 1 << 20
    frame, post = rows(GUIDE, "Sizes and limits", "what comes")
    assert numbers(frame[1]) == [frame_limit(*defaults), frame_limit(largest, defaults[1])]
    wav = rows(LIMITS, "The largest POST", "format")[0]
    assert numbers(post[1])[0] == numbers(wav[4])[0]


@pytest.mark.parametrize("chunk_bytes", [1_024, 32_768, 65_536, 700_000])
def test_no_frame_and_no_post_is_larger_than_the_formula_says(chunk_bytes: int) -> None:
    text = "\u0001" * 5_000
    speech, start = widest(text)
    chunk = AudioChunk(1, 99_999, 0, 0, b"\xff" * chunk_bytes)
    limit = frame_limit(chunk_bytes, len(text))
    template = FrameTemplate(speech, start)
    assert limit - 1_000 < sum(map(len, template.chunk(chunk))) <= limit
    assert len(template.complete(99_999)) <= limit
    body = Body(speech, start)
    body.add(chunk)
    body.finish()
    assert body.content_length <= limit


def test_limits_page_multiplies_rates_and_seconds() -> None:
    text = section(LIMITS, "The largest POST")
    header = [numbers(cell) for cell in re.split(r"\|", text[text.index("| format") :].splitlines()[0])[3:-1]]
    for cells in rows(LIMITS, "The largest POST", "format"):
        rate = numbers(cells[1])[0]
        for (seconds,), cell in zip(header, cells[2:], strict=True):
            assert numbers(cell) == [round(rate * seconds * 4 / 3 / 1e6, 1)], cells[0]
    assert header[-1] == [setting("tts_max_utterance_audio_seconds")]
    first, second = (numbers(cells[1])[0] for cells in rows(LIMITS, "The largest POST", "format")[:2])
    assert (first, second) == (2 * ESPEAK_HZ, 2 * MAX_SAMPLE_RATE_HZ)
    assert 2 * numbers(rows(LIMITS, "The largest POST", "format")[0][4])[0] * 1e6 < 128 << 20


# ---- formats


def test_guide_has_every_extension() -> None:
    table = rows(GUIDE, "Formats and sample rates", "extension")
    assert {ext for row in table for ext in re.findall(r"`\.(\w+)`", row[0])} == set(EXTENSIONS.values())
    rates = {row[0]: numbers(row[1]) for row in table}
    assert rates["`.mulaw`, `.alaw`"] == [G711_RATE_HZ]


def test_helpers_read_tables() -> None:
    """A table that is not found, or read in part, would let the tests above pass."""
    assert numbers("17.8 to 19.2 s, 1 048 576 bytes, 5 000") == [17.8, 19.2, 1_048_576, 5_000]
    for page, heading, begins in (
        (GUIDE, "How long you have", "while you are away"),
        (GUIDE, "How long you have", "your restart takes"),
        (LIMITS, "The largest POST", "format"),
    ):
        found = rows(page, heading, begins)
        assert len(found) >= 4
        assert all(len(first) == len(second) for first, second in pairwise(found))
    with pytest.raises(AssertionError):
        section(GUIDE, "No such heading")
