"""Settings of synth (docs/reference/settings.md)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from orastream.contract.messages import Transport
from orastream.jetstream.stream_limits import PHRASES_MAX_BYTES
from orastream.service.access_settings import off_is_absent
from orastream.service.settings import NodeSettings, accounts_of
from services.synth.tag_names import tag_names

DeliveryFormat = Literal["wav", "opus", "auto"]
"""What a request over WebSocket gets that names no format; the rule is in `job/delivery_format.py`."""
LOOK_AHEAD = 512
"""Maximum number of queued requests, from which the queue takes the next one, without callers that are known."""
MAX_LOOK_AHEAD = 8192
SIGN_EVERY_S = 5.0
"""Longest interval of `waiting` messages."""


def _check_tags(names: str | None) -> str | None:
    tag_names(names or "")
    return names


class SynthSettings(NodeSettings):
    """synth's own settings, in addition to those of every service."""

    tts_health_port: int = Field(9101, ge=0, le=65535)
    tts_engine: str = Field("espeak", min_length=1)
    tts_voice: str | None = None
    engine_python: Path | None = None
    """The interpreter that has the engine and this project installed; None: the one that runs synth."""
    engine_max_memory_mb: int | None = Field(None, ge=1)
    engine_canary_seconds: float = Field(30, ge=0, le=86_400)
    """An engine process of a local engine that has spoken nothing for so long speaks a few words. 0: never."""
    tts_engine_rtf: float | None = Field(None, gt=0, le=10)
    tts_text_normalization: bool = True
    tts_edge_silence_ms: Annotated[Annotated[int, Field(ge=20, le=2000)] | None, BeforeValidator(off_is_absent)] = None
    """Silence at both ends of a sentence's audio is cut to this; None: as the engine makes it."""
    tts_loudness_lufs: Annotated[
        Annotated[float, Field(ge=-40, le=-5, allow_inf_nan=False)] | None, BeforeValidator(off_is_absent)
    ] = None
    """The loudness to which synth brings all voices; None: as the engine makes them."""
    tts_skip_tags: Annotated[str | None, BeforeValidator(off_is_absent), AfterValidator(_check_tags)] = (
        "think,reasoning,tool_call"
    )
    """Comma separated: names of tags whose content is not spoken. None: off."""
    tts_lexicon: Path | None = None
    """How to say words: the file that synth reads at its start and on SIGHUP. None: there is none."""
    tts_phrase_cache: bool | None = None
    tts_phrase_cache_max_bytes: int = Field(PHRASES_MAX_BYTES, ge=1 << 20)
    tts_phrase_cache_seconds: int = Field(86_400, ge=60)
    tts_max_sentence_audio_seconds: float = Field(600, ge=1)
    """For a sentence of up to 300 characters; proportionally more for a longer one."""
    tts_max_utterance_audio_seconds: float = Field(7200, ge=1)
    synth_slots: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=256)
    synth_open_texts: int = Field(256, ge=0, le=4096)
    """Number of streamed texts in progress, in addition to one for each slot."""
    synth_lead_seconds: float = Field(15, gt=0, le=600)
    """A request whose listener has more seconds of audio than this gives its slot up while others need it."""
    synth_suspended: int = Field(256, ge=0, le=4096)
    """Number of requests that may be without a slot because of that. 0: none."""
    synth_stall_seconds: float = Field(20, gt=0)
    websocket_chunk_size: int = Field(32_768, ge=1024, le=700_000)
    chunk_ramp: bool = True
    default_transfer_method: Literal["websocket", "http"] = "websocket"
    delivery_format: DeliveryFormat = "wav"
    default_fire_and_forget: bool = True

    @property
    def caches_phrases(self) -> bool:
        """Whether the phrase cache is on. Without the setting it is off for an engine slowed by `tts_engine_rtf`: the
        cache would hide the slowness that the demonstration is about.
        """
        return self.tts_engine_rtf is None if self.tts_phrase_cache is None else self.tts_phrase_cache

    @property
    def skip_tags(self) -> tuple[str, ...]:
        """The names of the tags whose content is not spoken, in lower case."""
        return tag_names(self.tts_skip_tags or "")

    @property
    def look_ahead(self) -> int:
        """How many requests the queue may hold: as many as the limits of all callers allow, and LOOK_AHEAD for others.

        The consumer delivers in the order of storing. With a shorter queue, the requests of one caller could fill it,
        and hide those of other callers behind them.
        """
        of_callers = len(accounts_of(self.tts_callers)) * (self.tts_max_pending_per_caller or 0)
        return min(LOOK_AHEAD + of_callers, MAX_LOOK_AHEAD)

    @property
    def sign_every_s(self) -> float:
        """Interval of the `waiting` messages of a request that makes no audio now: readers get several within
        `synth_stall_seconds`.
        """
        return min(SIGN_EVERY_S, self.synth_stall_seconds / 4)

    @field_validator("engine_python", "tts_lexicon")
    @classmethod
    def _of_a_user(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value is not None else None

    @property
    def default_transport(self) -> Transport:
        """The transport of a request that does not name one."""
        return self.default_transfer_method
