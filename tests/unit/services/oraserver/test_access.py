"""Who may use the reference OraServer: with a token its bearers, without one all but pages of other sites."""

from __future__ import annotations

import pytest

from services.oraserver.access import OraServerAccess

pytestmark = pytest.mark.unit

PATHS = ["/received", "/misbehave", "/ws/tts", "/api/tts", "/unknown"]
OURS = {"host": "127.0.0.1:8080"}
FOREIGN = [
    OURS | {"origin": "https://evil.example"},
    OURS | {"origin": "null"},
    OURS | {"sec-fetch-site": "cross-site"},
    {"host": "evil.example", "origin": "http://evil.example", "sec-fetch-site": "same-origin"},  # DNS rebinding
]


class Sent(dict[str, str]):
    """The headers of a request."""

    def getlist(self, key: str) -> list[str]:
        return [self[key]] if key in self else []


@pytest.mark.parametrize("path", PATHS)
def test_pages_of_other_sites_are_refused_without_a_token(path: str) -> None:
    access = OraServerAccess(None)
    for headers in FOREIGN:
        refusal = access.refusal(path, Sent(headers))
        assert refusal is not None and refusal.status == 403, headers
        assert "ORASERVER_HOSTS" in refusal.message and "ORASERVER_TOKEN" in refusal.message, "says how to allow it"
    for headers in (OURS, {"host": "oraserver:8080"}, OURS | {"origin": "http://127.0.0.1:8080"}, {}):
        assert access.refusal(path, Sent(headers)) is None


@pytest.mark.parametrize(("path", "served"), [("/ws/tts", True), ("/api/tts", True), ("/received", False)])
def test_bridges_may_call_it_by_a_public_name(path: str, served: bool) -> None:
    headers = Sent({"host": "tts.example.com"})
    assert (OraServerAccess(None).refusal(path, headers) is None) is served
    for named in (OraServerAccess(None, ["tts.example.com"]), OraServerAccess(None, (), "tts.example.com")):
        assert named.refusal(path, headers) is None


@pytest.mark.parametrize("path", PATHS)
def test_the_token_is_all_that_counts_when_there_is_one(path: str) -> None:
    access = OraServerAccess("geheim")
    for headers in [*FOREIGN, OURS]:
        refusal = access.refusal(path, Sent(headers))
        assert refusal is not None and refusal.status == 401
        assert access.refusal(path, Sent(headers | {"authorization": "Bearer geheim"})) is None
        assert access.refusal(path, Sent(headers | {"authorization": "Bearer \udcff"})) is not None


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
@pytest.mark.parametrize("token", [None, "geheim"])
def test_probes_are_open_to_all(path: str, token: str | None) -> None:
    assert OraServerAccess(token).refusal(path, Sent(FOREIGN[-1])) is None
