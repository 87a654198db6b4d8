"""What to do with a wake-up of a session that this bridge does not own. Pure.

A wake-up is a delivery of a stored request or cancel by the durable consumer of a kind of bridge. The consumer delivers
it to one bridge at a time, until one acks it. Most wake-ups need an owner of the session. The others get an ack or
a nak at once, so that a bridge does not take sessions in which it has nothing to do.
"""

from __future__ import annotations

from enum import Enum

from orastream.contract.messages import Transport


class Step(Enum):
    """What to do with a wake-up, or what to look up before that can be decided."""

    ACK = "nothing is left to do for this kind of bridge"
    NAK = "deliver it again in a second"
    ASK_STORED = "ask the stream whether the request is still stored"
    ASK_REPORT = "read the report: the request leaves open who delivers it, and the claim may say"
    OWN = "the session needs an owner"


def first_step(stated: Transport | None, bridge: Transport, delivered: int) -> Step:
    """The first step for a request's wake-up. `stated` is the request's transport; `delivered` counts deliveries."""
    if stated not in (None, "none", bridge):
        return Step.ACK  # the other kind of bridge delivers it and has a consumer of its own
    if delivered == 1:
        # Leave synth time to claim a request of `none`. If no synth claims it, a bridge ends it at a later delivery.
        return Step.NAK if stated == "none" else _by_transport(stated)
    return Step.ASK_STORED


def if_stored(stated: Transport | None, stored: bool) -> Step:
    """The step after ASK_STORED. `stored`: whether the request is still stored."""
    return _by_transport(stated) if stored else Step.ACK


def by_claim(claimed: Transport | None, bridge: Transport) -> Step:
    """The step after ASK_REPORT. `claimed` is the transport in the stored report, None without a report."""
    return Step.OWN if claimed in (None, bridge) else Step.ACK


def _by_transport(stated: Transport | None) -> Step:
    return Step.ASK_REPORT if stated in (None, "none") else Step.OWN


def cancel_is_applied(cancel: int, lowest_request: int | None) -> bool:
    """Whether the cancel stored at sequence `cancel` may be deleted: no request before it is stored any more.

    `lowest_request` is the lowest sequence of the session's stored requests, read from the stream's leader, or None.
    If a cancel were deleted earlier and the bridge died, the requests before it would still be delivered.
    """
    return lowest_request is None or lowest_request > cancel
