"""What becomes of a wake-up of a session that this bridge does not own. Pure.

The durable consumer of a kind of bridges delivers each request and each cancel once, until it is acked. A delivery only
says that the session has something. Most of them need an owner; the rest are settled at once, so that a bridge does not
take sessions in which it has nothing to do.
"""

from __future__ import annotations

from enum import Enum

from orastream.contract.messages import Transport


class Step(Enum):
    """What to do with a wake-up, or what to ask before that can be said."""

    ACK = "nothing is left to do for this kind of bridge"
    NAK = "deliver it again in a second"
    ASK_STORED = "ask the stream whether the request is still stored"
    ASK_REPORT = "read the report: the request leaves open who delivers it, and the claim may say"
    OWN = "the session needs an owner"


def first_step(stated: Transport | None, bridge: Transport, delivered: int) -> Step:
    """What to do first with a request's wake-up, by the transport that it states and how often it was delivered."""
    if stated not in (None, "none", bridge):
        return Step.ACK  # the other kind of bridge delivers it, and is woken by its own consumer
    if delivered == 1:
        # Synth claims a request of `none` meanwhile. If no synth does, a bridge has to end it, by the second delivery.
        return Step.NAK if stated == "none" else _by_transport(stated)
    return Step.ASK_STORED


def if_stored(stated: Transport | None, stored: bool) -> Step:
    """What follows from the answer to ASK_STORED."""
    return _by_transport(stated) if stored else Step.ACK


def by_claim(claimed: Transport | None, bridge: Transport) -> Step:
    """What follows from the answer to ASK_REPORT: the transport of the report that stands, None without a report."""
    return Step.OWN if claimed in (None, bridge) else Step.ACK


def _by_transport(stated: Transport | None) -> Step:
    return Step.ASK_REPORT if stated in (None, "none") else Step.OWN


def cancel_is_applied(cancel: int, lowest_request: int | None) -> bool:
    """Whether the cancel stored at sequence `cancel` may be deleted: no request before it is stored any more.

    `lowest_request` is the lowest sequence of the session's stored requests, by the stream's leader; None without any.
    A cancel that is deleted earlier is lost for the requests before it if their bridge dies.
    """
    return lowest_request is None or lowest_request > cancel
