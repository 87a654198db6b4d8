"""Makes the first chunk of an utterance while its request is claimed, so that it can leave when the claim is answered.

Nothing is stored before that. If the claim is not ours, the sentence is dropped, and its slot of the engine pool is
free when the engine has stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

from orastream.base import tasks
from orastream.contract.audio_messages import AudioStart
from orastream.contract.stored_requests import StoredRequest
from services.synth.audio.pcm_chunker import AudioPiece
from services.synth.job.attempt import Attempt
from services.synth.job.context import SynthContext
from services.synth.job.speech_run import SpeechRun, whole_text
from services.synth.queue.turns import SlotTurn
from services.synth.speech.resume import FIRST_ATTEMPT, Resume
from services.synth.speech.speak import SpokenUtterance, output_spec


class HeadStart:
    """The beginning of a request's audio, as `async with`: entering begins the first sentence, leaving stops it.

    For a request whose text is complete and of which no audio is stored. Does nothing if others need its slot first.
    """

    def __init__(
        self, context: SynthContext, stored: StoredRequest, turn: SlotTurn, utterance: SpokenUtterance
    ) -> None:
        """`utterance` is what the `start` of the claim says."""
        assert stored.request is not None, "the job has refused a request that cannot be read"
        self._utterance = utterance
        self._info = context.speaker.info
        self._lines = whole_text(stored.request, self._utterance, context)
        self._run: SpeechRun | None = None
        if turn.keeps_slot(asyncio.get_running_loop().time()):
            self._run = SpeechRun(context, stored, turn, self._utterance, self._lines)
        self._first: asyncio.Task[AudioPiece | None] | None = None

    async def __aenter__(self) -> Self:
        if self._run is not None:
            self._first = asyncio.create_task(_first_of(self._run.pieces), name="head start")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        """Stop the sentence. Idempotent."""
        if self._first is not None:
            await tasks.end(self._first)
        if self._run is not None:
            await self._run.pieces.aclose()
        await self._lines.aclose()

    async def take(self, attempt: Attempt, resume: Resume, start: AudioStart) -> SpeechRun | None:
        """Return the run to go on with for this attempt, once. None: the attempt must begin by itself.

        Then the sentence is stopped: it would keep the slot that the attempt waits for. The pieces of the run raise
        what the engine has raised; close them.
        """
        run, first = self._run, self._first
        new = (resume.next_index, resume.stored_bytes) == (FIRST_ATTEMPT.next_index, FIRST_ATTEMPT.stored_bytes)
        ours = self._utterance.format, output_spec(self._info, self._utterance).sample_rate_hz
        same_file = (start.format, start.sample_rate_hz) == ours  # else another synth has stored the first `start`
        if run is None or first is None or run.attempt is not None or not new or not same_file:
            await self._close()
            return None
        run.attempt = attempt
        run.pieces = _continued(first, run.pieces)
        return run


async def _first_of(pieces: AsyncGenerator[AudioPiece, None]) -> AudioPiece | None:
    await asyncio.sleep(0)  # the questions of the claim leave before the engine is asked
    return await anext(pieces, None)


async def _continued(
    first: asyncio.Task[AudioPiece | None], pieces: AsyncGenerator[AudioPiece, None]
) -> AsyncGenerator[AudioPiece, None]:
    async with contextlib.aclosing(pieces):
        piece = await first
        while piece is not None:
            yield piece
            piece = await anext(pieces, None)
