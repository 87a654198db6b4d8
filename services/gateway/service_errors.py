"""The error headers of nats.micro with which the gateway answers a refused question over NATS. Pure."""

from __future__ import annotations

from orastream.contract.errors import InvalidRequest, NodeUnavailable, OrastreamError, Overloaded, PublishRefused


def service_code(exc: OrastreamError) -> str:
    """The `Nats-Service-Error-Code` of a refusal."""
    match exc:
        case InvalidRequest():
            return "400"
        case Overloaded() | NodeUnavailable() | PublishRefused():
            return "503"
        case _:
            return "500"


def error_headers(code: str, text: str) -> dict[str, str]:
    """The error headers of nats.micro, in one line of ASCII."""
    line = " ".join(text.split()).encode("ascii", "backslashreplace").decode()
    return {"Nats-Service-Error": line, "Nats-Service-Error-Code": code}


def outcome_of(exc: OrastreamError) -> str:
    """The value of the metrics' label `outcome` for a refusal."""
    return "unavailable" if isinstance(exc, NodeUnavailable | PublishRefused) else exc.code


def public_text(exc: OrastreamError) -> str:
    """What a caller is told: no internal details of the node."""
    unavailable = isinstance(exc, NodeUnavailable | PublishRefused)
    return "the node does not answer; try again" if unavailable else str(exc)
