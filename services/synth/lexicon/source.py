"""The lexicon that new jobs take, and its renewal on SIGHUP."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import NoReturn

import structlog

from orastream.contract.errors import SettingsError
from orastream.service.metrics import Metrics
from services.synth.engines import base
from services.synth.lexicon.file import LexiconFileError, read_lexicon
from services.synth.reading.lexicon import NO_WORDS, Lexicon

log = structlog.get_logger()


class LexiconSource:
    """`now` is the lexicon for the next job. For one event loop, in the main thread."""

    def __init__(self, path: Path | None, engine: str, metrics: Metrics) -> None:
        """Reads the file, for the engine of that name. `path` None: there is no lexicon. Raises SettingsError."""
        self._path = path
        self._engine = engine
        self.now: Lexicon = NO_WORDS
        self._hang_up = asyncio.Event()
        self._failures = metrics.counter(
            "orastream_synth_lexicon_reload_failures",
            "SIGHUPs at which the lexicon was wrong, so that the old one stays",
        )
        metrics.gauge(
            "orastream_synth_lexicon_words", "Words of the lexicon for new requests", lambda: float(self.now.words)
        )
        if path is None:
            return
        try:
            self.now = self._read(path)
        except LexiconFileError as exc:
            raise SettingsError(f"TTS_LEXICON: {exc}") from exc
        log.info("lexicon", words=self.now.words, digest=self.now.digest)

    def listen(self) -> None:
        """From now on a SIGHUP is noted for `run`, and does not end the process."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up.set)

    async def run(self) -> NoReturn:
        """Reads the file anew after each SIGHUP; a wrong file changes nothing. Ends when it is cancelled."""
        while True:
            await self._hang_up.wait()
            self._hang_up.clear()
            await self._renew()

    async def _renew(self) -> None:
        if self._path is None:
            log.warning("SIGHUP: there is no lexicon to read anew; set TTS_LEXICON")
            return
        try:
            lexicon = await asyncio.to_thread(self._read, self._path)
        except LexiconFileError as exc:
            self._failures.inc()
            log.error("the lexicon is wrong; the old one stays", error=str(exc), digest=self.now.digest)
            return
        changed = lexicon.digest != self.now.digest
        self.now = lexicon
        log.info("lexicon read anew", words=lexicon.words, digest=lexicon.digest, changed=changed)

    def _read(self, path: Path) -> Lexicon:
        return read_lexicon(path, self._engine, {*base.installed(), self._engine})
