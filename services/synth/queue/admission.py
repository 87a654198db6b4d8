"""The decision about a delivered request, from the answers to four questions (`claim`). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orastream.contract.messages import Report


class Admission(Enum):
    """What to do with the request."""

    GONE = "the request is not stored any more: ack"
    DUPLICATE = "its id belongs to another request: publish that request's final report"
    FINAL = "it already has a final report: clean up, ack"
    CANCELLED = "a cancel, or a request that supersedes it, is stored after it: its owner reports the cancel; ack"
    OURS = "speak it"


@dataclass(frozen=True, slots=True)
class ClaimAnswers:
    """`claimed` is the stored report after the claim: ours, or an earlier one."""

    request_seq: int
    still_stored: bool
    cancelled: bool
    claimed: Report


def admit(answers: ClaimAnswers) -> Admission:
    """Returns the first that applies: gone, duplicate, final, cancelled, ours."""
    if not answers.still_stored:
        return Admission.GONE
    if answers.claimed.request_seq != answers.request_seq:
        return Admission.DUPLICATE
    if answers.claimed.final:
        return Admission.FINAL
    if answers.cancelled:
        return Admission.CANCELLED
    return Admission.OURS
