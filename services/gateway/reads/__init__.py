"""Reads of reports and audio over NATS, for callers who may not read JetStream."""
