"""What the node can speak: every synth answers on `tts.voices`, and whoever asks puts the answers together."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orastream.base import logger
from orastream.base.version import VERSION
from orastream.broker import Answer, Broker, Headers
from orastream.contract import codec, subjects
from orastream.contract.codec import Map
from orastream.contract.errors import NodeUnavailable, Undecodable

NAME = "tts-voices"
FIRST_S = 2.0
"""A synth that is there answers within this."""
MORE_S = 0.25
"""Synths with other engines answer within this of each other."""

log = logger.named(__name__)


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice, by the names that requests use for it and for its engine."""

    name: str
    language: str
    """BCP 47 tag."""
    sample_rate_hz: int
    engine: str
    version: str
    """Of the engine: changes whenever the same request may sound different."""

    def to_map(self) -> Map:
        """As the gateway and `orastream voices --json` give it."""
        return {
            "name": self.name,
            "language": self.language,
            "sampleRate": self.sample_rate_hz,
            "engine": self.engine,
            "version": self.version,
        }


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Voice(_Strict):
    name: str
    language: str
    sample_rate: int = Field(alias="sampleRate")


class _Engine(_Strict):
    engine: str
    version: str
    voices: list[_Voice]


def told(voices: Iterable[Voice], *, engine: str, version: str) -> bytes:
    """What a synth answers about the voices of its engine."""
    listed = [{"name": v.name, "language": v.language, "sampleRate": v.sample_rate_hz} for v in voices]
    return codec.encode({"engine": engine, "version": version, "voices": listed}, "json")


def heard(answers: Iterable[bytes]) -> list[Voice]:
    """The voices in all of them, each once, by engine and version, in the order of the engine's list.

    An answer that cannot be read (of a version to come) is left out.
    """
    engines: dict[tuple[str, str], dict[str, Voice]] = {}
    for answer in answers:
        try:
            engine = _Engine.model_validate(codec.decode(answer))
        except (Undecodable, ValidationError):
            log.warning("an answer about voices cannot be read", bytes=len(answer))
            continue
        known = engines.setdefault((engine.engine, engine.version), {})
        for it in engine.voices:
            known.setdefault(it.name, Voice(it.name, it.language, it.sample_rate, engine.engine, engine.version))
    return [voice for _, voices in sorted(engines.items()) for voice in voices.values()]


async def ask(broker: Broker) -> list[Voice]:
    """The voices of all synths that run; [] at once when none does.

    Takes MORE_S longer than the last answer. Raises NodeUnavailable when NATS does not answer, or no synth although
    some are there.
    """
    answers: list[bytes] = []
    news = asyncio.Event()
    clock = asyncio.get_running_loop().time
    latest = clock() + 2 * FIRST_S
    nobody = False

    def on_answer(_subject: str, _reply: str, data: bytes, headers: Headers) -> None:
        nonlocal nobody
        if headers.status == "503":
            nobody = True
        elif headers.get("Nats-Service-Error") is None:
            answers.append(data)
        news.set()

    inbox = broker.open_inbox(on_answer)
    try:
        await broker.publish(subjects.VOICES, b"", reply=inbox)
        while not nobody:
            news.clear()
            async with asyncio.timeout_at(min(clock() + (MORE_S if answers else FIRST_S), latest)):
                await news.wait()
    except TimeoutError:
        if not answers:
            raise NodeUnavailable(f"no answer on {subjects.VOICES} within {FIRST_S:g} s") from None
    finally:
        broker.close_inbox(inbox)
    return heard(answers)


async def serve(broker: Broker, voices: Iterable[Voice], *, engine: str, version: str) -> None:
    """Answer `tts.voices` from now on, as long as the connection lives.

    Of all that would say the same, one answers: the queue group is made of the answer.
    """
    answer = told(voices, engine=engine, version=version)

    async def answered(_payload: bytes, _headers: Mapping[str, str]) -> Answer:
        return answer, None

    await broker.serve(
        NAME,
        VERSION,
        "The voices of the engine that this synth speaks with",
        subjects.VOICES,
        answered,
        queue=hashlib.sha256(answer).hexdigest()[:16],
    )
