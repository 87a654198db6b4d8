"""One request, from its delivery to its ack."""
