"""Names of the streams, of the durable consumers of TTS_SESSIONS, and of the keys in the key-value buckets. Pure."""

from __future__ import annotations

SESSIONS = "TTS_SESSIONS"
AUDIO = "TTS_AUDIO"
REPORTS = "TTS_REPORTS"
TEXTS = "TTS_TEXTS"
OWNERS = "KV_tts_owners"
HEARTBEATS = "KV_tts_heartbeats"

SYNTH = "synth"
BRIDGE_OF: dict[str, str] = {"websocket": "ws_bridge", "http": "http_bridge"}
"""The service that delivers a transport."""
BRIDGES = tuple(BRIDGE_OF.values())
"""Durable consumers. Each has the name of the service that pulls from it."""


def owner_key(kind: str, session: str) -> str:
    """Return the subject of the record of which bridge of `kind` owns a session: a key of bucket tts_owners."""
    return f"$KV.tts_owners.{kind}.{session}"


OWNER_KEYS = "$KV.tts_owners.>"
"""Filter for all records of owners."""


def owner_session(key: str) -> str | None:
    """Return the session's token in an `owner_key`, or None if it is no key of a bridge."""
    parts = key.split(".")
    return parts[3] if len(parts) == 4 and parts[2] in BRIDGES else None


def trial_key(process: str) -> str:
    """Return the subject of a message that a process stores to see whether the server stores any; `*` for all."""
    return f"$KV.tts_heartbeats.trial.{process}"


def heartbeat_key(bridge: str) -> str:
    """Return the subject of a bridge's heartbeat: a key of bucket tts_heartbeats, kept for HEARTBEAT_LIFE_S."""
    return f"$KV.tts_heartbeats.{bridge}"
