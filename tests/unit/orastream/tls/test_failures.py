"""What a failed TLS handshake means, by the texts of several versions of OpenSSL."""

from __future__ import annotations

import ssl

import pytest

from orastream.tls import TlsPeer, closed_early, explain, explains
from orastream.tls.failures import ENDED, TlsFailure, certificate_problem, failure_in

pytestmark = pytest.mark.unit

WITHOUT = TlsPeer("the server at host", "X_URL", "X_CA", "X_CERT", "X_KEY")
WITH = TlsPeer("the server at host", "X_URL", "X_CA", "X_CERT", "X_KEY", has_ca=True, has_cert=True)


def verify(text: str) -> str:
    return f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {text} (_ssl.c:1006)"


@pytest.mark.parametrize(
    ("problem", "failure"),
    [
        (verify("unable to get local issuer certificate"), TlsFailure.UNKNOWN_AUTHORITY),
        (verify("self-signed certificate in certificate chain"), TlsFailure.UNKNOWN_AUTHORITY),
        (verify("self signed certificate"), TlsFailure.UNKNOWN_AUTHORITY),
        (verify("Hostname mismatch, certificate is not valid for 'a'."), TlsFailure.OTHER_NAME),
        (verify("IP address mismatch, certificate is not valid for '127.0.0.1'."), TlsFailure.OTHER_NAME),
        (verify("certificate has expired"), TlsFailure.EXPIRED),
        (verify("certificate is not yet valid"), TlsFailure.NOT_YET_VALID),
        (verify("unsuitable certificate purpose"), TlsFailure.NOT_ACCEPTED),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", TlsFailure.WANTS_CERTIFICATE),
        ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:2580)", TlsFailure.REFUSES_CERTIFICATE),
        ("[SSL: SSLV3_ALERT_BAD_CERTIFICATE] ssl/tls alert bad certificate", TlsFailure.REFUSES_CERTIFICATE),
        ("sslv3 alert certificate expired", TlsFailure.REFUSES_CERTIFICATE),
        ("sslv3 alert certificate revoked", TlsFailure.REFUSES_CERTIFICATE),
        ("sslv3 alert handshake failure", TlsFailure.REFUSES_CERTIFICATE),
        (ENDED, TlsFailure.REFUSES_CERTIFICATE),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", TlsFailure.NO_TLS),
        ("[SSL: RECORD_LAYER_FAILURE] record layer failure", TlsFailure.NO_TLS),
        ("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version", TlsFailure.NO_COMMON_VERSION),
        ("[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol", TlsFailure.NO_COMMON_VERSION),
        ("[Errno 104] Connection reset by peer", None),
        ("nats: 'Authorization Violation'", None),
        ("no answer", None),
        ("", None),
    ],
)
def test_failure_is_recognised(problem: str, failure: TlsFailure | None) -> None:
    assert failure_in(problem) is failure
    assert explains(problem) == (failure is not None)
    for peer in (WITH, WITHOUT):
        message = explain(problem, peer)
        assert (message is None) == (failure is None)
        if message is not None:
            says, _, todo = message.rpartition("; ")
            assert "the server at host" in says and todo and "_ssl.c" not in message and "[SSL" not in message


@pytest.mark.parametrize(
    ("problem", "peer", "todo"),
    [
        (verify("unable to get local issuer certificate"), WITHOUT, "set X_CA (or SSL_CERT_FILE)"),
        (verify("unable to get local issuer certificate"), WITH, "is the file in X_CA"),
        (verify("Hostname mismatch"), WITH, "use a name of the certificate in X_URL"),
        (verify("certificate has expired"), WITH, "renew it on the server"),
        ("tlsv13 alert certificate required", WITHOUT, "set X_CERT and X_KEY"),
        ("tlsv1 alert unknown ca", WITH, "an authority that the server trusts"),
        ("sslv3 alert handshake failure", WITHOUT, "set X_CERT and X_KEY"),
    ],
)
def test_message_says_what_to_do(problem: str, peer: TlsPeer, todo: str) -> None:
    message = explain(problem, peer)
    assert message is not None and todo in message.rpartition("; ")[2]


def test_message_about_an_early_end_names_the_certificate() -> None:
    assert "if it wants a client certificate, set X_CERT and X_KEY" in closed_early(WITHOUT)
    assert "does it accept the certificate in X_CERT?" in closed_early(WITH)


@pytest.mark.parametrize("exc", [BrokenPipeError(32, "Broken pipe"), ConnectionResetError(), ssl.SSLEOFError(8, "EOF")])
def test_broken_connection_to_a_server_that_asks_for_a_certificate_is_about_it(exc: Exception) -> None:
    assert failure_in(certificate_problem(exc, has_certificate=False) or "") is TlsFailure.WANTS_CERTIFICATE
    assert failure_in(certificate_problem(exc, has_certificate=True) or "") is TlsFailure.REFUSES_CERTIFICATE


@pytest.mark.parametrize(
    "exc",
    [
        TimeoutError(),
        OSError(113, "No route to host"),
        ssl.SSLError(1, "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca"),
        ValueError("nats: 'Authorization Violation'"),
    ],
)
def test_other_errors_are_not(exc: Exception) -> None:
    assert certificate_problem(exc, has_certificate=False) is None
    assert certificate_problem(exc, has_certificate=True) is None
