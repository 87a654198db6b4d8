"""The NATS connection: the only package that imports `nats`.

`connection` connects, reconnects and speaks plain NATS; `dispatch` is the fast way from the socket to a callback;
`micro` serves requests as a nats.micro service. What JetStream makes of these is `orastream.jetstream`.
"""

from orastream.bus.connection import Bus, Subscription
from orastream.bus.dispatch import Headers, OnMessage
from orastream.bus.micro import Answer

__all__ = ["Answer", "Bus", "Headers", "OnMessage", "Subscription"]
