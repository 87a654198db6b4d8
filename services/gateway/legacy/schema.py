"""The parts of `/openapi.json` about `/api/convert-tts/` while GATEWAY_LEGACY is on."""

from __future__ import annotations

from orastream.contract.codec import Map
from services.gateway.http.openapi import CONVERT as STRICT
from services.gateway.http.openapi import AcceptanceBody, Responses, reference
from services.gateway.legacy.form_body import MULTIPART, URLENCODED
from services.gateway.legacy.old_caller import SWITCHES, TEXTS

_ANSWER: Map = {"anyOf": [reference("Report"), AcceptanceBody.model_json_schema()]}
CONVERT: Responses = {status: answer for status, answer in STRICT.items() if status != 202} | {
    200: {
        "description": "delivered (sync): the report; accepted (fire and forget): `status` is queued",
        "content": {"application/json": {"schema": _ANSWER}},
    }
}

_FORM: Map = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in (*TEXTS, *SWITCHES)},
    "required": ["text", "sessionId", "phoneId"],
}
_JSON: Map = {
    "description": "a SpeakRequest, in which these fields may also have other types",
    "type": "object",
    "properties": {
        **{name: {"type": ["string", "integer", "null"]} for name in TEXTS},
        **{name: {"type": ["boolean", "string", "number", "null"]} for name in SWITCHES},
    },
}
CONVERT_BODY: Map = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _JSON},
            URLENCODED: {"schema": _FORM},
            MULTIPART: {"schema": _FORM},
        },
    }
}
