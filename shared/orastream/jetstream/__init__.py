"""JetStream as the node uses it: the API, the streams, feeds, publishing, pulling, objects, reports."""
