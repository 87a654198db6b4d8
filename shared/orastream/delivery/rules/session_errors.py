"""The errors in final reports that a session writes itself, without a delivery. Pure."""

from __future__ import annotations

from orastream.contract.messages import ReportError, Transport


def not_claimed(ttl_s: float) -> ReportError:
    """No synth has claimed the request within its ttl."""
    return ReportError.of(
        "expired", f"not claimed within ttlSeconds ({ttl_s:g}); is synth running and has it free slots?"
    )


def not_delivered(transport: Transport | None) -> ReportError:
    """The bridge of another transport has not delivered it, though its audio has ended."""
    return ReportError.of("internal", f"no {transport} bridge delivered it; is that service running?")


def deleted() -> ReportError:
    """It is not stored any more, so that no synth gets it."""
    return ReportError.of("internal", "the stored request was deleted before it was spoken")
