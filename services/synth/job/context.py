"""The objects that all jobs of a synth share."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from services.synth.job.format_choice import FormatChoice
from services.synth.job.metrics import SynthMetrics
from services.synth.queue.pace import Pace
from services.synth.settings import SynthSettings
from services.synth.speech.speaker import Speaker


@dataclass(frozen=True, slots=True)
class SynthContext:
    """The service creates one and passes it to each job."""

    js: JetStream
    reports: ReportStore
    speaker: Speaker
    settings: SynthSettings
    metrics: SynthMetrics
    pace: Pace
    formats: FormatChoice
