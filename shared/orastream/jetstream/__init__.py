"""JetStream as the node uses it: API calls, stream topology, feeds, publishing, pull consumers, objects, reports."""
