"""The NATS connection: the only package that imports `nats`.

`connection` connects, reconnects and speaks plain NATS, as whom `credentials` says; `dispatch` is the fast way from the
socket to a callback; `micro` serves requests as a nats.micro service. What JetStream makes of these is
`orastream.jetstream.api`.
"""

from orastream.broker.address import shown
from orastream.broker.connection import Broker
from orastream.broker.fastpath.dispatch import NO_HEADERS, Headers, OnMessage
from orastream.broker.micro import Answer, Answerer
from orastream.broker.subscription import Subscription

__all__ = ["NO_HEADERS", "Answer", "Answerer", "Broker", "Headers", "OnMessage", "Subscription", "shown"]
