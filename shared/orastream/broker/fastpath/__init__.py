"""From the socket to a callback: the parser and the transport in front of nats-py."""
