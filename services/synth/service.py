"""The synth service: starts the engines, then serves requests (`synth.Synth`)."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial

import structlog

from orastream.base import tasks
from orastream.client import voices
from orastream.contract.errors import SettingsError
from orastream.jetstream.report_store import ReportStore
from orastream.service.lifecycle import Process, Serve
from orastream.service.settings import accounts_of
from orastream.service.usage import UsageMetrics
from services.synth import gauges
from services.synth.audio import encoder, resample
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engine_pool.pool import EnginePool
from services.synth.engine_pool.process import ProcessLimits
from services.synth.engines.base import EngineChanged, EngineError, Misconfigured, UnknownEngine, WrongInterpreter
from services.synth.job.context import SynthContext
from services.synth.job.format_choice import FormatChoice
from services.synth.job.metrics import SynthMetrics
from services.synth.lexicon.source import LexiconSource
from services.synth.queue.backlog import Backlog
from services.synth.queue.pace import Pace
from services.synth.settings import SynthSettings
from services.synth.speech.calibration import measured_levels
from services.synth.speech.levelled_speaker import LevelledSpeaker
from services.synth.speech.phrase_cache import CachingSpeaker, open_store
from services.synth.speech.speaker import PoolSpeaker, Speaker
from services.synth.synth import Synth
from services.synth.text.text_sweep import TextSweep

OWN_REPORTS = 32
"""As many requests as a process speaks at the same time, at most, and some more."""

log = structlog.get_logger()


def serve(settings: SynthSettings) -> Serve:
    """The synth service with these settings, for `orastream.service.lifecycle`."""
    return partial(_serve, settings=settings)


async def _serve(process: Process, settings: SynthSettings) -> None:
    """Start the engines, then serve until the process is told to stop. Raises EngineChanged after a drain."""
    backlog = Backlog(process.js)
    metrics = SynthMetrics(process.metrics, backlog.spoken)
    usage = UsageMetrics(process.metrics, accounts_of(settings.tts_callers))
    lexicon = LexiconSource(settings.tts_lexicon, settings.tts_engine, process.metrics)
    lexicon.listen()
    process.unready = "the engine is loading"
    pool = EnginePool(
        settings.tts_engine,
        settings.synth_slots,
        log=log,
        python=str(settings.engine_python) if settings.engine_python else None,
        default_voice=settings.tts_voice,
        limits=ProcessLimits(
            settings.engine_max_memory_mb,
            stall_s=settings.synth_stall_seconds,
            canary_s=settings.engine_canary_seconds or None,
            edge_silence_ms=settings.tts_edge_silence_ms,
        ),
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(pool)
        except (UnknownEngine, WrongInterpreter) as exc:
            raise SettingsError(_settings_problem(settings, exc)) from exc
        except Misconfigured as exc:
            raise SettingsError(str(exc)) from exc
        await asyncio.to_thread(resample.load)  # else the first request with a `sampleRate` waits for the import
        if settings.delivery_format != "wav":
            await asyncio.to_thread(encoder.load, "opus")
        speaker: Speaker = PoolSpeaker(pool, rtf=settings.tts_engine_rtf)
        if settings.tts_loudness_lufs is not None:
            process.unready = "the loudness of the voices is being measured"
            levels = await measured_levels(
                pool, settings.tts_loudness_lufs, at_once=settings.synth_slots, stop=process.stop
            )
            speaker = LevelledSpeaker(speaker, levels)
        if settings.caches_phrases:
            store = await open_store(process, settings)
            speaker = await stack.enter_async_context(CachingSpeaker(speaker, store, metrics))
        pace = Pace(settings.synth_lead_seconds if settings.synth_suspended else None)
        reports = ReportStore(process.js, usage.ended, own=OWN_REPORTS)
        formats = FormatChoice(process.js, settings.delivery_format)
        context = SynthContext(process.js, reports, speaker, settings, metrics, pace, formats, lambda: lexicon.now)
        synth = Synth(context, can_speak=lambda: pool.lacking() is None)
        pool.on_change = synth.go_on
        gauges.register(process.metrics, synth, pool, backlog)
        watch = asyncio.create_task(backlog.watch(), name="backlog")
        changed = asyncio.create_task(_drain_when_changed(pool, process), name="engine changed")
        sweep = asyncio.create_task(TextSweep(process.js, context.reports).run(), name="text sweep")
        renew = asyncio.create_task(lexicon.run(), name="lexicon")
        stack.push_async_callback(tasks.end, watch, changed, sweep, renew)
        await _serve_voices(process, pool.info)
        process.checks += [pool.lacking, synth.lacking]
        process.ready()
        await synth.run(process.stop)
        if changed.done():
            raise changed.result()


async def _drain_when_changed(pool: EnginePool, process: Process) -> EngineChanged:
    """Drain the service when the engine reports another EngineInfo. The restarted service creates a new pool."""
    change = await pool.changed()
    log.error("the engine has changed; synth ends and must be restarted", problem=str(change))
    process.unready = str(change)
    process.stop.set()
    return change


async def _serve_voices(process: Process, info: EngineInfo) -> None:
    there = [
        voices.Voice(voice.name, voice.language, voice.sample_rate_hz, info.name, info.version)
        for voice in info.voices.values()
    ]
    await voices.serve(process.js.broker, there, engine=info.name, version=info.version)


def _settings_problem(settings: SynthSettings, problem: EngineError) -> str:
    """The error text for a setting, when the engine cannot be loaded."""
    if settings.engine_python is None:
        return f"TTS_ENGINE: {problem}"
    fix = f"; install it there, with this project, or take another ENGINE_PYTHON than {settings.engine_python}"
    return f"ENGINE_PYTHON: {problem}{fix if isinstance(problem, UnknownEngine) else ''}"
