"""A delivery that one process passes on to another one of its service. Pure.

The receiver acks it: the ack subject is valid for whoever publishes on it. If it is lost on the way, the server
delivers the message again after the ack wait.
"""

from __future__ import annotations

import json

from orastream.broker import Broker
from orastream.jetstream.pull_consumer import Delivery, consumer_of, parse_delivery


def passed(delivery: Delivery) -> bytes:
    """Encode a delivery for its new holder; without the message, which that one has read itself."""
    return json.dumps({"subject": delivery.subject, "ack": delivery.reply}).encode()


def passed_delivery(broker: Broker, data: bytes, consumer: str) -> Delivery | None:
    """Decode a delivery of this durable consumer. None for anything else: any process of the node can send it."""
    try:
        body = json.loads(data)
        subject, reply = body["subject"], body["ack"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if (
        not isinstance(subject, str)
        or not isinstance(reply, str)
        or consumer_of(reply) != (broker.names.sessions_stream, consumer)
    ):
        return None
    return parse_delivery(broker, subject, reply, b"")
