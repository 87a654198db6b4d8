"""The NATS connection: the only package that imports `nats`.

`connection` connects, reconnects and speaks plain NATS, as whom `credentials` says; `dispatch` is the fast way from the
socket to a callback; `micro` serves requests as a nats.micro service. What JetStream makes of these is
`orastream.jetstream`.
"""

from orastream.bus.address import shown
from orastream.bus.connection import Bus
from orastream.bus.dispatch import NO_HEADERS, Headers, OnMessage
from orastream.bus.micro import Answer, Answerer
from orastream.bus.subscription import Subscription

__all__ = ["NO_HEADERS", "Answer", "Answerer", "Bus", "Headers", "OnMessage", "Subscription", "shown"]
