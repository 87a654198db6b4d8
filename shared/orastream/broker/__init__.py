"""The NATS connection: the only package that imports `nats`.

`connection` connects, reconnects, publishes, subscribes and requests, with what `dialer` has: address, credentials and
TLS. `fastpath` passes messages from the socket to callbacks. `micro` answers requests as a nats.micro service.
JetStream is in `orastream.jetstream`.
"""

from orastream.broker.access import Access, AccessNames
from orastream.broker.address import ARGUMENTS, AddressOrigin, shown
from orastream.broker.connection import Broker
from orastream.broker.fastpath.dispatch import OnMessage, ServerIdentity
from orastream.broker.fastpath.headers import NO_HEADERS, Headers
from orastream.broker.micro import Answer, Answerer, Answers, Question, ServiceConfig, single
from orastream.broker.subscription import Subscription

__all__ = [
    "ARGUMENTS",
    "NO_HEADERS",
    "Access",
    "AccessNames",
    "AddressOrigin",
    "Answer",
    "Answerer",
    "Answers",
    "Broker",
    "Headers",
    "OnMessage",
    "Question",
    "ServerIdentity",
    "ServiceConfig",
    "Subscription",
    "shown",
    "single",
]
