"""Which error answers have OpenAI's form."""

from __future__ import annotations

import pytest

from services.gateway.http.responses import error
from services.gateway.openai.error_form import in_form_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/models", "/v1/no/such"])
def test_error_under_v1_has_openais_form(path: str) -> None:
    answer = in_form_of(path, error(413, "too_large", "the body has more than 5 bytes"))
    message = "the body has more than 5 bytes"
    detail = {"message": message, "type": "invalid_request_error", "param": None, "code": "too_large"}
    assert (answer.status, answer.outcome, answer.body) == (413, "too_large", {"error": detail})


@pytest.mark.parametrize("path", ["/", "/v10/models", "/v1x", "/api/v1/models", "//v1/models", ""])
def test_error_elsewhere_has_the_gateways_form(path: str) -> None:
    given = error(404, "not_found", "Not Found")
    assert in_form_of(path, given) is given


def test_error_names_openais_field_and_keeps_its_headers() -> None:
    given = error(422, "invalid_request", "text: is required", field="text", headers={"Retry-After": "3"})
    answer = in_form_of("/v1/audio/speech", given)
    assert answer.body["error"]["param"] == "input"
    assert answer.body["error"]["message"] == "input: is required"
    assert answer.headers == {"Retry-After": "3"}


def test_wrong_method_is_answered_with_the_right_one() -> None:
    given = error(405, "method_not_allowed", "Method Not Allowed", headers={"allow": "POST"})
    assert "only POST" in in_form_of("/v1/audio/speech", given).body["error"]["message"]
