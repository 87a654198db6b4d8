"""Names of the streams, of the durable consumers on TTS_SESSIONS, and of the keys in the two key-value buckets."""

from __future__ import annotations

SESSIONS = "TTS_SESSIONS"
AUDIO = "TTS_AUDIO"
REPORTS = "TTS_REPORTS"
TEXTS = "TTS_TEXTS"
OWNERS = "KV_tts_owners"
HEARTBEATS = "KV_tts_heartbeats"

SYNTH = "synth"
BRIDGES = ("ws_bridge", "http_bridge")
"""Durable consumers; each has the name of the service that pulls from it."""


def owner_key(kind: str, session: str) -> str:
    """Subject of the record that says which bridge of a kind owns a session (a KV key of bucket tts_owners)."""
    return f"$KV.tts_owners.{kind}.{session}"


def heartbeat_key(bridge: str) -> str:
    """Subject of a bridge's heartbeat, which lives HEARTBEAT_LIFE_S (a KV key of bucket tts_heartbeats)."""
    return f"$KV.tts_heartbeats.{bridge}"
