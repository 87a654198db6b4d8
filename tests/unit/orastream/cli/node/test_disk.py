"""How `orastream up` divides a disk among the streams, and what it says where the disk is small."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.cli.node.disk import (
    CACHE,
    CACHE_BYTES,
    DEFAULTS,
    JETSTREAM_SHARE,
    MIN_STREAM_BYTES,
    USED_SHARE,
    disk_plan,
)
from orastream.jetstream.stream_limits import PHRASES_MAX_BYTES
from services.synth.settings import SynthSettings

pytestmark = pytest.mark.unit

LARGE, SMALL = 100 << 30, 400 << 20
AUDIO, TEXTS = "TTS_AUDIO_MAX_BYTES", "TTS_TEXTS_MAX_BYTES"


def settings_of(env: dict[str, str]) -> SynthSettings:
    return SynthSettings(_env_file=None, **{name.lower(): value for name, value in env.items()})  # type: ignore[arg-type]


def test_a_large_disk_gives_the_defaults_without_a_word() -> None:
    plan = disk_plan(LARGE, {})
    assert plan.warnings == ()
    assert plan.env == {name: str(default) for name, (default, _) in DEFAULTS.items()}
    assert settings_of({}).limits == settings_of(dict(plan.env)).limits


@pytest.mark.parametrize("env", [{}, {CACHE: "off"}, {CACHE_BYTES: str(1 << 30)}])
def test_default_sizes_are_lowered_only_if_they_do_not_fit(env: dict[str, str]) -> None:
    """A disk of 12 GB has room for them: 8.3 GB with the phrase cache, of three quarters of it."""
    cache = 0 if env.get(CACHE) == "off" else int(env.get(CACHE_BYTES, PHRASES_MAX_BYTES))
    wanted = sum(default for default, _ in DEFAULTS.values()) + cache
    fits = int(wanted / USED_SHARE / JETSTREAM_SHARE) + 2
    plan = disk_plan(fits, env)
    assert (plan.warnings, plan.env) == ((), disk_plan(LARGE, env).env)
    less = disk_plan(fits - (1 << 20), env)
    assert [warning for warning in less.warnings if "smaller than by default" in warning]
    assert sum(int(size) for size in less.env.values()) + cache < wanted


def test_a_small_disk_gives_less_and_names_each_setting() -> None:
    plan = disk_plan(SMALL, {})
    streams, cache = plan.warnings
    for name, (default, _) in DEFAULTS.items():
        assert MIN_STREAM_BYTES <= int(plan.env[name]) < default
        assert f"{name}={plan.env[name]}" in streams
    assert "419 MB" in streams
    assert plan.env[CACHE] == "off" and CACHE_BYTES in cache


def test_a_cache_that_cannot_fit_does_not_make_the_streams_smaller() -> None:
    plan = disk_plan(20 * 10**9, {CACHE_BYTES: str(11 << 30)})
    (cache,) = plan.warnings
    assert plan.env == {**disk_plan(LARGE, {}).env, CACHE: "off"} and CACHE_BYTES in cache


def test_a_size_that_users_have_set_is_kept_if_it_fits() -> None:
    plan = disk_plan(LARGE, {AUDIO: str(20 << 30), TEXTS.lower(): str(5 << 20)})
    assert AUDIO not in plan.env and TEXTS not in plan.env and plan.warnings == ()
    assert plan.max_file_store > 20 << 30


def test_a_size_that_does_not_fit_is_lowered_with_its_name() -> None:
    plan = disk_plan(SMALL, {AUDIO.lower(): str(4 << 30), TEXTS: str(2 << 20)})
    assert int(plan.env[AUDIO]) == int(disk_plan(SMALL, {}).env[AUDIO]) and TEXTS not in plan.env
    (lowered,) = [warning for warning in plan.warnings if "4294967296" in warning]
    assert lowered.startswith(f"{AUDIO}=4294967296 does not fit") and plan.env[AUDIO] in lowered


@pytest.mark.parametrize("value", ["4294967296.0", "4_294_967_296", " 4294967296 ", "+4294967296"])
def test_a_size_is_read_as_the_services_read_it(value: str) -> None:
    settings = settings_of({AUDIO: value})
    plan = disk_plan(SMALL, {AUDIO: value})
    assert int(plan.env[AUDIO]) < settings.tts_audio_max_bytes == 4 << 30
    assert any(warning.startswith(f"{AUDIO}=4294967296 does not fit") for warning in plan.warnings)


@pytest.mark.parametrize("value", ["x", "-1", "17", "1e9", "9" * 5000])
def test_a_value_that_the_services_refuse_is_left_to_them(value: str) -> None:
    """They name it, and say which values it takes."""
    plan = disk_plan(SMALL, {AUDIO: value, CACHE_BYTES: value})
    assert AUDIO not in plan.env and CACHE not in plan.env


@pytest.mark.parametrize(
    ("env", "off"),
    [
        ({}, True),
        ({CACHE: "on"}, True),
        ({CACHE: "off"}, False),
        ({CACHE: "No"}, False),
        ({CACHE: "maybe"}, False),
        ({CACHE: " on "}, False),
        ({CACHE: "YES"}, True),
        ({"TTS_ENGINE_RTF": "0.5"}, False),
        ({"TTS_ENGINE_RTF": "0.5", CACHE: "true"}, True),
        ({CACHE_BYTES: str(2 << 20)}, False),
    ],
)
def test_the_phrase_cache_is_switched_off_only_if_synth_would_use_it(env: dict[str, str], off: bool) -> None:
    plan = disk_plan(SMALL, env)
    assert (plan.env.get(CACHE) == "off") == off
    assert any("phrase cache" in warning for warning in plan.warnings) == off
    if off:
        assert settings_of(env).caches_phrases


@given(
    st.integers(0, 1 << 44),
    st.dictionaries(st.sampled_from([*DEFAULTS, CACHE_BYTES]), st.integers(1 << 20, 1 << 45)),
)
def test_what_is_created_fits(disk: int, asked: dict[str, int]) -> None:
    plan = disk_plan(disk, {name: str(size) for name, size in asked.items()})
    settings = settings_of({name: str(size) for name, size in asked.items()} | dict(plan.env))
    limits = settings.limits
    reserved = (
        limits.audio_max_bytes
        + limits.sessions_max_bytes
        + limits.reports_max_bytes
        + limits.heard_max_bytes
        + limits.texts_max_bytes
        + (settings.tts_phrase_cache_max_bytes if settings.caches_phrases else 0)
    )
    assert reserved <= plan.max_file_store
    if disk >= 64 << 20:
        assert plan.max_file_store <= disk * JETSTREAM_SHARE
    assert all(int(size) <= asked.get(name, 1 << 60) for name, size in plan.env.items() if name != CACHE)
