"""Which errors have OpenAI's form, and how an answer of the gateway is written in it. Pure.

Source: OpenAI API reference; its clients read `error.message`, `type`, `param` and `code`.
"""

from __future__ import annotations

from services.gateway.http.responses import Answer
from services.gateway.openai.request import error_body

_ROUTES = "POST /v1/audio/speech, GET /v1/models and GET /v1/models/{model}"


def in_form_of(path: str, answer: Answer) -> Answer:
    """Return an error answer in the form of the API that the decoded `path` belongs to: OpenAI's under `/v1`."""
    return in_openai_form(answer) if path == "/v1" or path.startswith("/v1/") else answer


def in_openai_form(answer: Answer) -> Answer:
    """Return an error answer of `http.responses.error` with its body in OpenAI's form."""
    given = answer.body["error"]
    message = given["message"]
    if answer.outcome == "not_found":
        message = f"there is no such path; this node has {_ROUTES}"
    elif answer.outcome == "method_not_allowed" and (allowed := answer.headers.get("allow")):
        message = f"the path does not have this method, only {allowed}; this node has {_ROUTES}"
    body = error_body(answer.status, message, code=answer.outcome, param=given.get("field"))
    return Answer(answer.status, body, answer.outcome, answer.headers)
