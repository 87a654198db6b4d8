"""What becomes of a request that was handed out: the pure decision, taken from four answers asked for at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orastream.contract.messages import Report


class Admission(Enum):
    """What to do with the request."""

    GONE = "it is not stored any more: ack"
    DUPLICATE = "its id belongs to another request: pass that one's final report on"
    FINAL = "it has a final report already: tidy up, ack"
    CANCELLED = "a cancel is stored after it: its owner reports that; ack"
    OURS = "speak it"


@dataclass(frozen=True, slots=True)
class ClaimAnswers:
    """`claimed` is the report that stands after the claim: ours, or the one that was there before."""

    request_seq: int
    still_stored: bool
    cancelled: bool
    claimed: Report


def admit(answers: ClaimAnswers) -> Admission:
    """The decision, in this order: gone, duplicate, final, cancelled, ours."""
    if not answers.still_stored:
        return Admission.GONE
    if answers.claimed.request_seq != answers.request_seq:
        return Admission.DUPLICATE
    if answers.claimed.final:
        return Admission.FINAL
    if answers.cancelled:
        return Admission.CANCELLED
    return Admission.OURS
