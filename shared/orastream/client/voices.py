"""Lists the node's voices: every synth answers on `tts.voices`, and the caller merges the answers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orastream.base import logger
from orastream.base.version import VERSION
from orastream.broker import Answer, Broker, Headers, ServiceConfig, single
from orastream.contract import codec
from orastream.contract.codec import Map
from orastream.contract.errors import NodeUnavailable, Undecodable

NAME = "tts-voices"
FIRST_S = 2.0
"""How long to wait for the first synth's answer."""
MORE_S = 0.25
"""How long to wait for another synth's answer after the last one."""

log = logger.named(__name__)


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice, with the names that requests use for it and for its engine."""

    name: str
    language: str
    """BCP 47 tag."""
    sample_rate_hz: int
    engine: str
    version: str
    """The engine's version; it changes whenever the same request may sound different."""

    def to_map(self) -> Map:
        """The fields that the gateway and `orastream voices --json` show."""
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


def encode_answer(voices: Iterable[Voice], *, engine: str, version: str) -> bytes:
    """Encode a synth's answer: the voices of its engine."""
    listed = [{"name": v.name, "language": v.language, "sampleRate": v.sample_rate_hz} for v in voices]
    return codec.encode({"engine": engine, "version": version, "voices": listed}, "json")


def encode_answers(voices: Iterable[Voice]) -> list[bytes]:
    """Encode what the synths with these voices answer: one answer for each version of each engine."""
    engines: dict[tuple[str, str], list[Voice]] = {}
    for voice in voices:
        engines.setdefault((voice.engine, voice.version), []).append(voice)
    return [encode_answer(there, engine=engine, version=version) for (engine, version), there in engines.items()]


def merge_answers(answers: Iterable[bytes]) -> list[Voice]:
    """Merge the synths' answers: each voice once, sorted by engine and version, then in the engine's order.

    An answer that cannot be parsed (such as one of a later version) is left out and logged.
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


async def ask(broker: Broker, subject: str) -> list[Voice]:
    """The voices of all synths that run and answer on `subject`; [] at once when none is running.

    Returns at an empty answer, which ends those of a gateway, else MORE_S seconds after the last one. Raises
    NodeUnavailable when NATS is unavailable, or when synths are running but none answers.
    """
    answers: list[bytes] = []
    news = asyncio.Event()
    clock = asyncio.get_running_loop().time
    latest = clock() + 2 * FIRST_S
    all_received = False

    def on_answer(_subject: str, _reply: str, data: bytes, headers: Headers) -> None:
        nonlocal all_received
        if headers.status == "503" or (not data and headers.get("Nats-Service-Error") is None):
            all_received = True  # no synth is running, or a gateway has answered in their place
        elif data:
            answers.append(data)
        news.set()

    # A subscription of its own: of a question that may have several answers, nats-server remembers where they go until
    # their inbox is closed, if it came from another account.
    inbox = broker.new_inbox()
    subscription = await broker.subscribe(inbox, on_answer)
    try:
        await broker.publish(subject, b"", reply=inbox)
        while not all_received:
            news.clear()
            async with asyncio.timeout_at(min(clock() + (MORE_S if answers else FIRST_S), latest)):
                await news.wait()
    except TimeoutError:
        if not answers:
            raise NodeUnavailable(f"no answer on {subject} within {FIRST_S:g} s") from None
    finally:
        await subscription.close()
    return merge_answers(answers)


async def serve(broker: Broker, voices: Iterable[Voice], *, engine: str, version: str) -> None:
    """Answer `tts.voices` (with the node's prefix, and with its front's) from now on, until the connection is closed.

    The queue group is a hash of the answer, so of all synths with the same answer only one sends it.
    """
    answer = encode_answer(voices, engine=engine, version=version)

    async def answered(_payload: bytes, _headers: Mapping[str, str]) -> Answer:
        return answer, None

    names = broker.names
    about = ServiceConfig(names.service("voices"), VERSION, "The voices of the engine that this synth speaks with")
    queue = hashlib.sha256(answer).hexdigest()[:16]
    endpoints = {f"{NAME}{n or ''}": subject for n, subject in enumerate(names.with_front(names.voices))}
    await broker.serve(about, endpoints, single(answered), queue=queue)
