"""Faults of protocol v2 that can be switched on, and what they decide. Pure, but for the end of the process."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CRASH_EXIT_CODE = 86

OpenError = Literal["busy", "refused", "stale_epoch", "failed"]
AudioFate = Literal["keep", "drop", "damage"]


class StreamFaults(BaseModel):
    """The faults of protocol v2. By default there are none. A chance is 0 to 1."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(0, ge=0, description="v2: of the random numbers of all chances")
    drop_audio: float = Field(0, ge=0, le=1, description="v2: chance that a frame of audio is dropped")
    damage_audio: float = Field(
        0, ge=0, le=1, description="v2: chance that a byte of a frame of audio is changed; needs ORASERVER_CRC"
    )
    lose_acks: float = Field(0, ge=0, le=1, description="v2: chance that an ack is not sent")
    ask_again: float = Field(0, ge=0, le=1, description="v2: chance that an ack leaves out what is stored above upto")
    ack_delay_ms: float = Field(0, ge=0, le=60_000, description="v2: how long each ack is held back")
    stall_phone: str | None = Field(None, description="v2: the streams of this phone get no more credit")
    stall_stream: int | None = Field(None, ge=1, description="v2: streams with this number get no more credit")
    close_connection: float = Field(0, ge=0, le=1, description="v2: chance that a frame ends its connection")
    open_error: OpenError | None = Field(None, description="v2: answer opens with this error")
    open_errors: int | None = Field(None, ge=1, description="v2: how many opens get open_error; default: all")
    crash_after_bytes: int | None = Field(
        None, ge=1, description=f"v2: end the process with exit code {CRASH_EXIT_CODE} when N bytes are stored in all"
    )
    forget_after_bytes: int | None = Field(None, ge=1, description="v2: forget everything once N bytes are stored")
    real_time: bool = Field(False, description="v2: play at the speed of the audio; limit and played follow")
    skip_gaps: bool = Field(False, description="v2: with real_time, skip gaps whose play time has passed")


@dataclass(slots=True)
class StreamCounts:
    """What happened on the connections of v2 since the process began. Bytes are of audio."""

    connections: int = 0
    audio_frames: int = 0
    audio_bytes: int = 0
    dropped_frames: int = 0
    dropped_bytes: int = 0
    damaged_frames: int = 0
    damaged_bytes: int = 0
    bad_crc_frames: int = 0
    """Frames whose checksum did not match, although no fault has changed them."""
    retransmitted_bytes: int = 0
    """Bytes that came again, for whatever reason."""
    duplicate_bytes: int = 0
    """Of these, bytes that were stored already."""
    large_frames: int = 0
    """Frames of audio above 16 KiB while several streams of the connection competed."""
    acks: int = 0
    lost_acks: int = 0
    asked_again: int = 0
    refused_opens: int = 0
    closed_connections: int = 0
    forgotten: int = 0
    """How often everything was forgotten."""
    forgotten_bytes: int = 0
    """By how much `upto` of `opened` was below `acked` of `open`, in all."""

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


class StreamMischief:
    """Decides, frame by frame, which faults happen. `set` begins again with the seed."""

    def __init__(self, faults: StreamFaults | None = None, crash: Callable[[int], object] = os._exit) -> None:
        self._crash = crash
        self.set(faults or StreamFaults())

    def set(self, faults: StreamFaults) -> None:
        """Replace all faults; counters and random numbers begin again."""
        self.faults = faults
        self._random = random.Random(faults.seed)
        self._open_errors = faults.open_errors
        self._stored = 0

    @property
    def real_time(self) -> bool:
        """Whether the phones play at the speed of the audio."""
        return self.faults.real_time

    @property
    def skips(self) -> bool:
        """Whether gaps are skipped."""
        return self.faults.skip_gaps

    @property
    def ack_delay_s(self) -> float:
        """How long each `ack` is held back."""
        return self.faults.ack_delay_ms / 1000

    def audio(self, crc: bool) -> AudioFate:
        """What happens to a frame of audio, which has a checksum or not."""
        if self._strikes(self.faults.drop_audio):
            return "drop"
        return "damage" if crc and self._strikes(self.faults.damage_audio) else "keep"

    def damaged(self, data: bytes) -> bytes:
        """The data with one byte changed."""
        changed = bytearray(data)
        changed[self._random.randrange(len(data))] ^= self._random.randrange(1, 256)
        return bytes(changed)

    def loses_ack(self) -> bool:
        """Whether an `ack` is not sent."""
        return self._strikes(self.faults.lose_acks)

    def asks_again(self) -> bool:
        """Whether an `ack` says less than what is stored."""
        return self._strikes(self.faults.ask_again)

    def stalls(self, phone: str, stream: int) -> bool:
        """Whether a stream gets no more credit."""
        return phone == self.faults.stall_phone or stream == self.faults.stall_stream

    def closes(self) -> bool:
        """Whether this frame ends its connection."""
        return self._strikes(self.faults.close_connection)

    def open_error(self) -> OpenError | None:
        """The error that answers this `open`."""
        if self.faults.open_error is None or self._open_errors == 0:
            return None
        if self._open_errors is not None:
            self._open_errors -= 1
        return self.faults.open_error

    def stored(self, size: int) -> bool:
        """Count stored bytes; whether everything is to be forgotten now. On a crash it does not return."""
        before, self._stored = self._stored, self._stored + size
        crash, forget = self.faults.crash_after_bytes, self.faults.forget_after_bytes
        if crash is not None and before < crash <= self._stored:
            self._crash(CRASH_EXIT_CODE)
        return forget is not None and before < forget <= self._stored

    def _strikes(self, chance: float) -> bool:
        return chance > 0 and self._random.random() < chance
