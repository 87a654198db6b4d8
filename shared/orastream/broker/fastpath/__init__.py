"""A parser and a transport in place of those of nats-py: they pass messages from the socket to callbacks."""
