"""What a failed TLS handshake means, and what to do. Pure: from the texts of OpenSSL, which differ by its version."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from enum import Enum, auto

CERTIFICATE_WANTED = "certificate required"
"""The alert of TLS 1.3 to a client without a certificate. Also for our own errors about the same."""
ENDED = "it ended the connection after the TLS handshake"
"""Our own error about a server that asks for a client certificate, got one, and ends the connection."""


class TlsFailure(Enum):
    """Why a TLS handshake failed."""

    UNKNOWN_AUTHORITY = auto()
    OTHER_NAME = auto()
    EXPIRED = auto()
    NOT_YET_VALID = auto()
    NOT_ACCEPTED = auto()
    """This side does not accept the server's certificate for another reason."""
    WANTS_CERTIFICATE = auto()
    REFUSES_CERTIFICATE = auto()
    NO_TLS = auto()
    """The server speaks, but not TLS."""
    NO_COMMON_VERSION = auto()


_SIGNS: tuple[tuple[TlsFailure, str], ...] = (
    (TlsFailure.OTHER_NAME, r"hostname mismatch|ip address mismatch"),
    (TlsFailure.EXPIRED, r"certificate has expired"),
    (TlsFailure.NOT_YET_VALID, r"certificate is not yet valid"),
    (
        TlsFailure.UNKNOWN_AUTHORITY,
        r"certificate verify failed: (unable to get|unable to verify|self.signed)",
    ),
    (TlsFailure.NOT_ACCEPTED, r"certificate verify failed"),
    (TlsFailure.WANTS_CERTIFICATE, CERTIFICATE_WANTED),
    (
        TlsFailure.REFUSES_CERTIFICATE,
        r"alert (unknown ca|bad certificate|certificate \w+|unsupported certificate|access denied|handshake failure)"
        rf"|{ENDED.lower()}",
    ),
    (TlsFailure.NO_TLS, r"wrong version number|record layer failure|packet length too long|\bhttp request"),
    (TlsFailure.NO_COMMON_VERSION, r"alert protocol version|unsupported protocol|no protocols available"),
)
_TEXT = re.compile(r"\[SSL(?:: [A-Z0-9_]+)?\] (?:certificate verify failed: )?(.*?)(?: ?\(_ssl\.c:\d+\)|$)")


@dataclass(frozen=True, slots=True)
class TlsPeer:
    """A server, as messages about it need it, with the names of the settings for TLS with it."""

    who: str
    """The server in words, with its address without password."""
    address: str
    ca: str
    cert: str
    key: str
    has_ca: bool = False
    has_cert: bool = False


def failure_in(problem: str) -> TlsFailure | None:
    """Return the failure that the text of an exception is about; None if it is about something else."""
    text = problem.lower()
    return next((failure for failure, sign in _SIGNS if re.search(sign, text)), None)


def explains(problem: str) -> bool:
    """Whether the text is about a TLS handshake that will fail again until somebody changes something."""
    return failure_in(problem) is not None


def detail(problem: str) -> str:
    """Return the text of OpenSSL, without its error code, its place in the source code, and what is around it."""
    found = _TEXT.search(problem)
    return found[1] if found is not None else problem


def explain(problem: str, peer: TlsPeer) -> str | None:
    """Return what is wrong and, after the last `; `, what to do. None if the text is not about TLS."""
    failure = failure_in(problem)
    if failure is None:
        return None
    says, todo = _words(failure, peer)
    return f"{says} ({detail(problem)}); {todo}"


def ended_by_peer(exc: BaseException) -> bool:
    """Whether a server has ended a connection that it had accepted. Event loops raise different errors for it."""
    return isinstance(exc, ConnectionError) and not isinstance(exc, ConnectionRefusedError)


def certificate_problem(exc: Exception, has_certificate: bool) -> str | None:
    """Return what a broken connection to a server that asks for a client certificate says about it; None if nothing.

    The server's alert is lost when it closes the socket before our first bytes have arrived: the error is then a
    broken pipe or a reset. An alert that has arrived needs no other words.
    """
    if not isinstance(exc, ConnectionError | ssl.SSLError) or explains(str(exc)):
        return None
    return ENDED if has_certificate else f"{CERTIFICATE_WANTED}, as it has announced"


def closed_early(peer: TlsPeer) -> str:
    """Return what it may mean that a server ends a connection in the TLS handshake, or after it without an answer.

    With TLS 1.3 the client's handshake is complete before the server has judged the client's certificate, and a server
    may end the connection without an alert that says why.
    """
    if peer.has_cert:
        return f"{peer.who} ended the connection before it answered; does it accept the certificate in {peer.cert}?"
    return (
        f"{peer.who} ended the connection before it answered; "
        f"if it wants a client certificate, set {peer.cert} and {peer.key}"
    )


def _words(failure: TlsFailure, peer: TlsPeer) -> tuple[str, str]:
    theirs = f"the certificate of {peer.who}"
    trust = f"is the file in {peer.ca} of the authority that signed it?"
    if not peer.has_ca:
        trust = f"set {peer.ca} (or SSL_CERT_FILE) to the file of its authority's certificate"
    give = f"set {peer.cert} and {peer.key}"
    match failure:
        case TlsFailure.UNKNOWN_AUTHORITY:
            return f"{theirs} comes from an authority that is not trusted here", trust
        case TlsFailure.OTHER_NAME:
            return f"{theirs} is for another name", f"use a name of the certificate in {peer.address}"
        case TlsFailure.EXPIRED:
            return f"{theirs} has expired", "renew it on the server, or correct the clock of this machine"
        case TlsFailure.NOT_YET_VALID:
            return f"{theirs} is not valid yet", "correct the clock of this machine, or of the one that issued it"
        case TlsFailure.NOT_ACCEPTED:
            return f"{theirs} is not accepted", f"correct that certificate, or the file in {peer.ca}"
        case TlsFailure.REFUSES_CERTIFICATE if peer.has_cert:
            todo = f"set {peer.cert} and {peer.key} to a valid one of an authority that the server trusts"
            return f"{peer.who} does not accept the certificate in {peer.cert}", todo
        case TlsFailure.WANTS_CERTIFICATE:
            return f"{peer.who} wants a client certificate and got none", give
        case TlsFailure.REFUSES_CERTIFICATE:
            return f"{peer.who} ended the TLS handshake, most likely because it got no client certificate", give
        case TlsFailure.NO_TLS:
            return f"{peer.who} does not answer with TLS", f"correct {peer.address}, or configure TLS on the server"
        case TlsFailure.NO_COMMON_VERSION:
            return (
                f"{peer.who} has no TLS version in common with this client",
                "configure TLS 1.2 or later on the server",
            )
