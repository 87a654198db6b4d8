"""A delivery that one process passes on to another one of its service. Pure.

The receiver acks it: the ack subject is valid for whoever publishes on it. If it is lost on the way, the server
delivers the message again after the ack wait.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

from orastream.broker import Broker
from orastream.contract import subjects
from orastream.jetstream.pull_consumer import Delivery, consumer_of, parse_delivery

MAX_CANCEL_BYTES = 1024
NOT_PASSED = b"?"
"""Stands for a message that is not passed on. It is no request and no cancel: an empty one would cancel all."""


def passed(delivery: Delivery) -> bytes:
    """Encode a delivery for its new holder; without the message, which that one has read itself, but for a cancel."""
    body = {"subject": delivery.subject, "ack": delivery.reply}
    if subjects.is_cancel(delivery.subject) and len(delivery.data) <= MAX_CANCEL_BYTES:
        body["data"] = b64encode(delivery.data).decode()
    return json.dumps(body).encode()


def passed_delivery(broker: Broker, data: bytes, consumer: str) -> Delivery | None:
    """Decode a delivery of this durable consumer. None for anything else: any process of the node can send it."""
    try:
        body = json.loads(data)
        subject, reply = body["subject"], body["ack"]
        cancels = "data" in body and subjects.is_cancel(subject)
        message = b64decode(body["data"], validate=True) if cancels else NOT_PASSED
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if (
        not isinstance(subject, str)
        or not isinstance(reply, str)
        or consumer_of(reply) != (broker.names.sessions_stream, consumer)
    ):
        return None
    return parse_delivery(broker, subject, reply, message)
