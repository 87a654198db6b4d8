"""The objects that all jobs of a synth share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from orastream.contract.messages import SpeakRequest
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.job.format_choice import FormatChoice
from services.synth.job.metrics import SynthMetrics
from services.synth.lexicon.document import requested
from services.synth.queue.pace import Pace
from services.synth.reading.lexicon import NO_WORDS, Lexicon
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
    lexicon_now: Callable[[], Lexicon] = lambda: NO_WORDS
    """Returns the node's lexicon as it is now."""
    lexicon: Lexicon = NO_WORDS
    """The node's lexicon for one job."""

    def of_job(self) -> SynthContext:
        """Returns the context of a new job, which keeps the lexicon of now until its end, for all of its attempts."""
        return replace(self, lexicon=self.lexicon_now())

    @property
    def engine(self) -> EngineInfo:
        """What makes the audio of a job: the engine, whose version has the digest of the lexicon.

        So an attempt with another lexicon does not continue the audio in the middle of a sentence.
        """
        info = self.speaker.info
        digest = self.lexicon.digest
        return replace(info, version=f"{info.version}+lexicon.{digest}") if digest else info

    def lexicon_of(self, request: SpeakRequest) -> Lexicon:
        """Returns the words for a request: its own, then those of the node."""
        if not request.pronunciations:
            return self.lexicon
        return self.lexicon.with_request(requested(request.pronunciations, self.settings.tts_engine))
