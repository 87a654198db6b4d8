"""How much of a disk the streams of a local node may take, and what `orastream up` says where it is little. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from orastream.jetstream.stream_limits import AUDIO_MAX_BYTES, HEARD_MAX_BYTES, PHRASES_MAX_BYTES, STREAM_MAX_BYTES

JETSTREAM_SHARE = 0.75
"""The part of the disk that JetStream may reserve. It is nats-server's own default, too."""
USED_SHARE = 15 / 16
"""The part of that room for streams with a size; the records of bridges, which have none, need the rest."""
MIN_STREAM_BYTES = 1 << 20
"""The smallest size that the settings accept."""
MIN_STORE_BYTES = 8 * MIN_STREAM_BYTES
_SIZE: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=MIN_STREAM_BYTES)])
_SWITCH: TypeAdapter[bool] = TypeAdapter(bool)

CACHE, CACHE_BYTES = "TTS_PHRASE_CACHE", "TTS_PHRASE_CACHE_MAX_BYTES"
RTF = "TTS_ENGINE_RTF"
DEFAULTS: Mapping[str, tuple[int, float]] = MappingProxyType(
    {
        "TTS_AUDIO_MAX_BYTES": (AUDIO_MAX_BYTES, 1 / 2),
        "TTS_SESSIONS_MAX_BYTES": (STREAM_MAX_BYTES, 1 / 16),
        "TTS_REPORTS_MAX_BYTES": (STREAM_MAX_BYTES, 1 / 16),
        "TTS_HEARD_MAX_BYTES": (HEARD_MAX_BYTES, 1 / 32),
        "TTS_TEXTS_MAX_BYTES": (STREAM_MAX_BYTES, 1 / 16),
    }
)
"""Each stream's default size, and its part of the room where the default sizes do not fit: 23/32 together."""


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """What nats-server and the services of a local node get for their disk."""

    max_file_store: int
    """Bytes that nats-server may reserve for streams."""
    env: Mapping[str, str]
    """Settings for the services, by name in upper case."""
    warnings: tuple[str, ...] = ()
    """A sentence for users for each thing that is smaller than by default, or than they have set it."""


def disk_plan(disk_bytes: int, env: Mapping[str, str]) -> DiskPlan:
    """The sizes of the streams of a local node for its disk.

    `disk_bytes`: what is free on the disk, and what JetStream has stored there already, so that the sizes do not depend
    on how much is stored. `env` has the settings of users, by name in upper or lower case. The sizes that users have
    set, and the default ones for the others, are kept if all streams and the phrase cache fit together. Else the first
    of these that is enough: the default sizes become the streams' shares; the phrase cache is switched off, with the
    default sizes or with the shares; sizes of users above the share are lowered to it. An invalid value is left to the
    services, which name it.
    """
    given = {name.upper(): value for name, value in env.items() if value}
    store = max(MIN_STORE_BYTES, int(disk_bytes * JETSTREAM_SHARE))
    room = int(store * USED_SHARE)
    defaults = {name: default for name, (default, _) in DEFAULTS.items()}
    shares = {
        name: max(MIN_STREAM_BYTES, min(default, int(store * share))) for name, (default, share) in DEFAULTS.items()
    }
    asked = {name: size for name in shares if (size := _size(given.get(name))) is not None}
    cache = _size(given.get(CACHE_BYTES, str(PHRASES_MAX_BYTES))) if _caches(given) else None
    lowered: list[str] = []
    for rest in (room - (cache or 0), room):
        sizes = next((one | asked for one in (defaults, shares) if sum((one | asked).values()) <= rest), {})
        if sizes:
            break
    else:
        lowered = [name for name, size in asked.items() if size > shares[name]]
        sizes = shares | asked | {name: shares[name] for name in lowered}
    chosen = {name: str(size) for name, size in sizes.items() if name not in given or name in lowered}
    warnings = [
        f"{name}={asked[name]} does not fit on the disk of --data-dir: {shares[name]} is used; "
        "lower it, free the disk, or choose another --data-dir"
        for name in lowered
    ]
    if small := [name for name in chosen if name not in lowered and sizes[name] < defaults[name]]:
        chosen_sizes = ", ".join(f"{name}={sizes[name]}" for name in small)
        warnings.append(
            f"the disk of --data-dir has room for {_in_words(disk_bytes)}, so streams are smaller than by default: "
            f"{chosen_sizes}; free the disk, choose another --data-dir, or set them"
        )
    if cache is not None and cache > room - sum(sizes.values()):
        chosen[CACHE] = "off"
        warnings.append(
            f"the phrase cache is off: {CACHE_BYTES}={cache} does not fit on the disk of --data-dir; "
            "lower it, free the disk, or choose another --data-dir"
        )
    return DiskPlan(max(store, sum(sizes.values())), MappingProxyType(chosen), tuple(warnings))


def _size(value: str | None) -> int | None:
    """A size in bytes as the services read it; None for what they would refuse."""
    try:
        return _SIZE.validate_python(value)
    except ValidationError:
        return None


def _caches(given: Mapping[str, str]) -> bool:
    """Whether synth would use the phrase cache with these settings, by the rule of its `caches_phrases`.

    False for an invalid value, which synth names.
    """
    if CACHE not in given:
        return RTF not in given
    try:
        return _SWITCH.validate_python(given[CACHE])
    except ValidationError:
        return False


def _in_words(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
