"""What the streams may hold: it fits the servers that this repository configures, and what callers may send."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.cli.node.disk import JETSTREAM_SHARE, disk_plan
from orastream.contract import subjects
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS
from orastream.contract.text_pieces import TextPiece
from orastream.jetstream.stream_limits import StreamLimits, room_setting, size_setting, without_reserve
from orastream.jetstream.topology import stream_configs
from orastream.service.settings import KNOWN
from services.synth.settings import SynthSettings
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[4]
HEADERS = 1024 + 700 + 500
"""Message id with the longest tokens, trace context, and the Nats-Request-Info that a server may add."""
NO_ROOM = {"err_code": 10047}


def configs(limits: StreamLimits) -> dict[str, dict[str, Any]]:
    return {config["name"]: config for config in stream_configs(NAMES, limits)}


def reserved(settings: SynthSettings) -> int:
    """Bytes that all streams reserve, the phrase cache included."""
    return sum(config.get("max_bytes", 0) for config in stream_configs(NAMES, settings.limits)) + (
        settings.tts_phrase_cache_max_bytes
    )


@pytest.mark.parametrize("file", ["deploy/nats.conf", "deploy/kubernetes/base/nats.yaml"])
def test_defaults_fit_the_configured_servers(file: str) -> None:
    """A part stays free: the bridges' records have no limit of their own, and must always be stored."""
    found = re.search(r"max_file_store: (\d+)GB", (ROOT / file).read_text())
    assert found is not None
    store = int(found[1]) << 30
    assert 0.85 * store < reserved(SynthSettings(_env_file=None)) < 0.95 * store


@pytest.mark.parametrize("disk", [2 << 30, 8 << 30, 32 << 30, 1 << 40])
def test_a_local_node_fits_its_disk(disk: int) -> None:
    plan = disk_plan(disk, {})
    settings = SynthSettings(_env_file=None, **{name.lower(): value for name, value in plan.env.items()})
    assert settings.caches_phrases
    assert reserved(settings) < plan.max_file_store <= JETSTREAM_SHARE * disk


def test_every_stream_that_callers_fill_has_a_limit() -> None:
    streams = configs(StreamLimits())
    limited = {name for name, config in streams.items() if config.get("max_bytes", -1) > 0}
    assert (
        limited
        == {NAMES.sessions_stream, NAMES.audio_stream, NAMES.reports_stream, NAMES.heard_stream, NAMES.texts_stream}
        == set(streams) - {NAMES.owners_stream, NAMES.heartbeats_stream}
    )
    assert {name for name in streams if "max_msg_size" in streams[name]} == {NAMES.sessions_stream, NAMES.texts_stream}


@given(st.integers(1, 2000).flatmap(lambda most: st.tuples(st.just(most), st.text("가😀\x00a", max_size=most))))
def test_every_text_that_a_caller_may_send_fits(given_text: tuple[int, str]) -> None:
    """Also with the encoder of another language, which escapes each character, and with the longest ids."""
    most, text = given_text
    limits = StreamLimits(max_text_chars=most)
    ids = dict.fromkeys(("sessionId", "phoneId", "requestId", "redeliverOf"), "é" * (subjects.MAX_ID_BYTES // 2))
    body = json.dumps(ids | {"text": text, "replyTo": "_INBOX." + "x" * 500, "voice": "😀" * 64}).encode()
    assert len(body) + HEADERS < limits.max_request_bytes
    piece = json.dumps({"index": 65_535, "text": text, "end": True}).encode()
    assert len(TextPiece(65_535, text.replace("\x00", ""), end=True).encode()) <= len(piece)
    assert len(piece) + HEADERS < limits.max_piece_bytes


def test_a_session_cannot_fill_the_stream_of_requests() -> None:
    """Not even with the largest requests and cancels."""
    limits = StreamLimits()
    assert 2 * limits.max_pending_per_session * limits.max_request_bytes < limits.sessions_max_bytes / 50


def test_limits_follow_the_longest_text() -> None:
    assert StreamLimits().max_text_chars == DEFAULT_MAX_TEXT_CHARS
    settings = SynthSettings(_env_file=None, tts_max_text_chars=50_000).limits
    assert settings.max_request_bytes > settings.max_piece_bytes > 600_000
    huge = StreamLimits(max_text_chars=10**9)
    assert huge.max_request_bytes == huge.max_piece_bytes == 2**31 - 1


@pytest.mark.parametrize(
    ("name", "error", "there", "kept"),
    [
        (NAMES.texts_stream, NO_ROOM, {}, -1),
        (NAMES.sessions_stream, {"err_code": 10122}, {"max_bytes": -1}, -1),
        (NAMES.reports_stream, NO_ROOM, {"max_bytes": 5 << 20}, 5 << 20),
        (NAMES.texts_stream, NO_ROOM, {"max_bytes": 1 << 30}, None),
        (NAMES.heard_stream, NO_ROOM, {}, -1),
        (NAMES.audio_stream, NO_ROOM, {}, None),
        (NAMES.audio_stream, NO_ROOM, {"max_bytes": -1}, None),
        (NAMES.audio_stream, NO_ROOM, {"max_bytes": 5 << 20}, 5 << 20),
        (NAMES.texts_stream, {"err_code": 10052}, {}, None),
        (NAMES.texts_stream, {}, {}, None),
    ],
)
def test_only_a_new_limit_is_given_up_on_a_server_without_room(
    name: str, error: dict[str, int], there: dict[str, int], kept: int | None
) -> None:
    config = configs(StreamLimits())[name]
    assert without_reserve(config, error, there) == (None if kept is None else config | {"max_bytes": kept})
    assert (room_setting(name) is not None) == (name != NAMES.audio_stream)


def test_each_stream_with_a_size_has_its_setting() -> None:
    """So that a message about its size names the right one."""
    streams = configs(StreamLimits()) | {"OBJ_tts_phrases": {"max_bytes": 1}}
    for name, config in streams.items():
        assert (size_setting(name) in KNOWN) == ("max_bytes" in config)
    assert size_setting("OBJ_tts_phrases") == "TTS_PHRASE_CACHE_MAX_BYTES"
