"""What a server under test says that it has stored (`--received`), compared with what was sent. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from orastream.base.foreign_text import cleaned
from orastream.cli.checks.oraserver.utterances import Utterance

MISSING = "some are missing"


class StoredUtterance(BaseModel):
    """One utterance of the listing. Other keys are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    session: str = Field(alias="sessionId")
    phone: str = Field(alias="phoneId")
    request: str = Field(alias="requestId")
    bytes: int = Field(ge=0, le=1 << 48)
    """Audio, before base64."""
    complete: bool
    sha256: Annotated[str, StringConstraints(to_lower=True, pattern="^[0-9a-fA-F]{64}$")]
    """Of the stored file, in hex."""
    sentences: Any = None
    """Of v2, if it is a list of objects with `n`: each has `ms`, `text` and `words` too. Anything else is ignored."""


class StoredListing(BaseModel):
    """The answer of the address of `--received`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    utterances: list[StoredUtterance]


def read_listing(body: bytes) -> StoredListing:
    """Parse the answer. Raises ValueError with a message that names the field."""
    try:
        return StoredListing.model_validate(json.loads(body))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        problem = "must be an object" if first["type"] == "model_type" else cleaned(first["msg"])
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'body'}: {problem}") from None
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None


class KeptSentence(NamedTuple):
    """A sentence of v2 that a server must have, if it lists sentences."""

    n: int
    ms: int
    text: str
    words: list[list[int]]


@dataclass(frozen=True, slots=True)
class Sent:
    """What a server must have of an utterance: its chunks below `stop` (None: all), and whether it is complete."""

    utterance: Utterance
    complete: bool = True
    stop: int | None = None
    optional: bool = False
    """It may be missing: a server may forget what was cancelled."""
    sentences: tuple[KeptSentence, ...] | None = None
    """None: they are not compared."""


def difference(sent: Sequence[Sent], listed: Sequence[StoredUtterance]) -> str | None:
    """Return how the stored utterances differ from the sent ones; None if they do not."""
    return next((found for each in sent if (found := _difference(each, listed)) is not None), None)


def _difference(sent: Sent, listed: Sequence[StoredUtterance]) -> str | None:
    said = sent.utterance
    found = [each for each in listed if (each.session, each.request) == (said.session, said.request)]
    name = f"the utterance of request {said.request!r}"
    if not found and sent.optional:
        return None
    if not found:
        return f"{name} of session {said.session!r} is not in the listing"
    if len(found) > 1:
        return f"{name} is {len(found)} times in the listing"
    (stored,) = found
    size = said.size(sent.stop)
    if stored.phone != said.phone:
        return f"{name} has phone {cleaned(stored.phone)!r}; it was sent for {said.phone!r}"
    if stored.bytes != size:
        problem = "some were stored twice" if stored.bytes > size else MISSING
        return f"{name} has {stored.bytes:,} bytes; {size:,} were sent: {problem}"
    if stored.sha256 not in said.digests(sent.stop):
        return f"{name} has other bytes than were sent"
    if stored.complete != sent.complete:
        return f"{name} is {'' if stored.complete else 'not '}complete in the listing"
    differs = _sentences_differ(sent.sentences, stored.sentences)
    return None if differs is None else f"{name}: {differs}"


def _sentences_differ(sent: Sequence[KeptSentence] | None, listed: Any) -> str | None:
    if sent is None or type(listed) is not list or any(type(one) is not dict or "n" not in one for one in listed):
        return None
    numbers = [one["n"] for one in listed]
    if numbers != [one.n for one in sent]:
        return f"the listing has the sentences {cleaned(str(numbers))}; sent were {[one.n for one in sent]}"
    for one, other in zip(sent, listed, strict=True):
        for key, value in one._asdict().items():
            if other.get(key) != value and not (key == "words" and not value and not other.get(key)):
                return f"sentence {one.n} has {key} {cleaned(str(other.get(key)))}; it must have {value}"
    return None
