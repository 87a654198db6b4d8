"""Translates what callers of the Django TTS server send and expect, if GATEWAY_LEGACY is on. Pure.

The six fields of that server had the types of Python's web forms. Which strings are true and which are false is the
rule of Django REST framework (`serializers.BooleanField`), without regard to case.
"""

from __future__ import annotations

from dataclasses import replace

from orastream.contract import codec
from orastream.contract.codec import Map
from orastream.contract.errors import InvalidRequest, Undecodable
from services.gateway.http.responses import Answer
from services.gateway.legacy.form_body import form_type, read_form

TEXTS = ("text", "sessionId", "phoneId", "requestId")
SWITCHES = ("use_websocket", "fire_and_forget")
TRUE = frozenset(("true", "t", "yes", "y", "on", "1"))
FALSE = frozenset(("false", "f", "no", "n", "off", "0"))
ABSENT = frozenset(("", "null", "none"))
_FIX = "GATEWAY_LEGACY=on at the gateway accepts"


def read_fields(body: bytes, content_type: str, *, legacy: bool) -> Map:
    """The wire fields of a request in a body: JSON or msgpack; with `legacy` also a form, and with the old types.

    Raises InvalidRequest for a body that cannot be read. Without `legacy` it says so of a form.
    """
    form = form_type(content_type, body)
    if legacy:
        return converted(codec.decode(body) if form is None else read_form(form, content_type, body))
    try:
        return codec.decode(body)
    except Undecodable as exc:
        if form is None:
            raise
        raise Undecodable(f"{exc.problem}; send a JSON object ({_FIX} forms)") from None


def converted(fields: Map) -> Map:
    """The fields with the types of the contract: integers as texts, and strings and 0 and 1 as booleans.

    Only the six old fields are converted. What cannot be converted stays, so that its check names the field.
    """
    return {name: _converted(name, value) for name, value in fields.items()}


def _converted(name: str, value: object) -> object:
    if name in TEXTS and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name == "requestId" and value == "":
        return None
    return _switched(value) if name in SWITCHES else value


def _switched(value: object) -> object:
    if isinstance(value, int | float):
        return bool(value) if value in (0, 1) else value
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    if word in ABSENT:
        return None
    return True if word in TRUE else False if word in FALSE else value


def with_remedy(exc: InvalidRequest, fields: Map) -> InvalidRequest:
    """The error of a request that was read without `legacy`; names the setting if that would convert the field."""
    value = fields.get(exc.field)
    if type(_converted(exc.field, value)) is type(value):
        return exc
    return InvalidRequest(exc.field, f"{exc.problem} ({_FIX} it)")


def old_answer(answer: Answer) -> Answer:
    """The answer to an old caller: 200 also for a request that is accepted and not yet spoken."""
    return replace(answer, status=200) if answer.status == 202 else answer
