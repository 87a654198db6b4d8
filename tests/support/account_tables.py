"""What each role of the accounts must not reach: tables for the tests of `init-auth` on a real server."""

from __future__ import annotations

from orastream.cli.auth.names import SERVICES

OUTSIDE = ("llm", "observer", "shop", "hall")
"""The roles outside account NODE: `shop` may use any session, `hall` only `lobby`."""

API = "$JS.API"
STREAMS = (
    "TTS_SESSIONS",
    "TTS_AUDIO",
    "TTS_REPORTS",
    "TTS_HEARD",
    "TTS_TEXTS",
    "KV_tts_owners",
    "KV_tts_heartbeats",
    "OBJ_tts_phrases",
)
STREAM_CALLS = (
    "STREAM.DELETE",
    "STREAM.PURGE",
    "STREAM.UPDATE",
    "STREAM.MSG.DELETE",
    "STREAM.MSG.GET",
    "STREAM.SNAPSHOT",
    "STREAM.INFO",
    "DIRECT.GET",
    "CONSUMER.NAMES",
    "CONSUMER.CREATE",
)
NEVER = (
    *(f"{API}.{call}.{stream}" for stream in STREAMS for call in STREAM_CALLS),
    f"{API}.INFO",
    f"{API}.STREAM.NAMES",
    f"{API}.STREAM.LIST",
    f"{API}.STREAM.CREATE.MINE",
    f"{API}.ACCOUNT.PURGE.NODE",
    *(
        f"{API}.CONSUMER.{call}.TTS_SESSIONS.{name}"
        for call in ("DELETE", "INFO", "MSG.NEXT", "CREATE", "PAUSE", "LEADER.STEPDOWN")
        for name in ("synth", "ws_bridge")
    ),
    "$JS.ACK.TTS_SESSIONS.synth.1.1.1.1.0",
    "$KV.tts_owners.ws_bridge.victim",
    "$KV.tts_heartbeats.ws_bridge-1",
    "$O.tts_phrases.C.victim",
    "$O.tts_phrases.M.victim",
    "tts.put.audio.victim.r",
    "tts.put.report.victim.r",
    "tts.put.heard.victim.r",
    "tts.audio.victim.r",
    "tts.report.victim.r",
    "tts.heard.victim.r",
    "tts.progress.victim.r",
    "tts.script.victim.r",
    "tts.session.victim.request",
    "tts.session.victim.cancel",
    "tts.request-CALLERS.victim",
    "tts.request-SHOP.victim",
    "tts.request-HALL.victim",
    *(f"tts.of.{account}.report.get.victim.r" for account in ("CALLERS", "SHOP", "HALL", "OBSERVERS")),
    *(f"tts.of.{account}.audio.read.victim.r" for account in ("CALLERS", "SHOP")),
    *(f"tts.of.{account}.heard.read.victim.r" for account in ("CALLERS", "SHOP", "HALL", "OBSERVERS")),
    *(f"tts.of.{account}.heards.read.victim" for account in ("CALLERS", "SHOP", "HALL", "OBSERVERS")),
    *(f"tts.relay.{account}.{kind}.victim" for account in ("SHOP", "HALL") for kind in ("request", "cancel")),
    "tts.peer.synth.synth-1",
    "tts.peers.synth",
    "tts.peers.ws_bridge",
    "tts.load",
    "tts.reply.CALLERS.x",
    "tts.reply.SHOP.x",
    *(f"_INBOX_{role}.x.1" for role in (*SERVICES, "operator")),
    "_INBOX.x.1",
    "_R_.x.1",
)
"""Subjects of the node to which nobody outside it may publish."""

DENIED: dict[str, tuple[str, ...]] = {
    "llm": NEVER,
    "shop": (*NEVER, "tts.reports.read", "tts.reports.read.victim", "tts.heards.read.victim", "$SRV.PING"),
    "hall": (
        *NEVER,
        *("tts.request.victim", "tts.text.victim.r", "tts.cancel.victim", "tts.report.get.victim.r"),
        *("tts.reports.read", "tts.reports.read.victim", "tts.audio.read.victim.r", "tts.speak", "$SRV.PING"),
        *("tts.heard.read.victim.r", "tts.heards.read.victim"),
    ),
    "observer": (
        *NEVER,
        *("tts.request.victim", "tts.text.victim.r", "tts.cancel.victim", "tts.speak", "tts.audio.read.victim.r"),
        *("tts.heard.read.victim.r", "tts.heards.read.victim", "tts.heards.read.lobby"),
        *("$SRV.PING", "$SRV.STATS"),
    ),
}

HEARD_IN_NODE = (
    "tts.audio.victim.r",
    "tts.script.victim.r",
    "tts.session.victim.request",
    "tts.put.audio.victim.r",
    "tts.put.report.victim.r",
    "tts.put.heard.victim.r",
    "tts.text.victim.r",
    "tts.cancel.victim",
    "tts.request.victim",
    "tts.request-SHOP.victim",
    "tts.relay.SHOP.request.victim",
    "tts.relay.HALL.cancel.victim",
    "tts.peers.synth",
    "tts.peer.synth.synth-1",
    "$JS.ACK.TTS_SESSIONS.synth.1.1.1.1.0",
    "$KV.tts_heartbeats.ws_bridge-1",
    "$O.tts_phrases.C.victim",
    "_INBOX_synth.x",
    "_INBOX_gateway.x",
    "_INBOX.x",
    "_R_.x.y",
    "tts.reply.x",
    "tts.reply.CALLERS.x",
    "tts.reply.SHOP.x",
    "tts.reply.HALL.x",
    "tts.report.victim.r",
    "tts.report.lobby.r",
    "tts.heard.victim.r",
    "tts.heard.lobby.r",
    "tts.progress.victim.r",
    "tts.progress.lobby.r",
    "tts.load",
)
"""Subjects on which something is published inside NODE while the others listen."""

HEARS: dict[str, set[str]] = {
    "llm": {
        *("tts.report.victim.r", "tts.report.lobby.r", "tts.heard.victim.r", "tts.heard.lobby.r"),
        *("tts.progress.victim.r", "tts.progress.lobby.r", "tts.load", "tts.reply.CALLERS.x"),
    },
    "observer": {
        *("tts.report.victim.r", "tts.report.lobby.r", "tts.progress.victim.r", "tts.progress.lobby.r", "tts.load"),
    },
    "shop": {"tts.load", "tts.reply.SHOP.x"},
    "hall": {"tts.report.lobby.r", "tts.heard.lobby.r", "tts.progress.lobby.r", "tts.load", "tts.reply.HALL.x"},
}

SERVICE_DENIED: dict[str, tuple[str, ...]] = {
    "synth": (
        "$JS.API.STREAM.DELETE.TTS_AUDIO",
        "$JS.API.STREAM.PURGE.TTS_AUDIO",
        "$JS.API.STREAM.MSG.DELETE.TTS_REPORTS",
        "$JS.API.STREAM.MSG.DELETE.TTS_HEARD",
        "$JS.API.CONSUMER.DELETE.TTS_SESSIONS.synth",
        "$JS.API.CONSUMER.MSG.NEXT.TTS_SESSIONS.ws_bridge",
        "$JS.API.STREAM.MSG.GET.KV_tts_owners",
        "$JS.ACK.TTS_SESSIONS.ws_bridge.1.1.1.1.0",
        "$KV.tts_owners.ws_bridge.victim",
        "tts.request.victim",
        "tts.cancel.victim",
        "tts.peers.ws_bridge",
        "_INBOX_ws_bridge.x",
        "_INBOX.x",
    ),
    "ws_bridge": (
        "$JS.API.STREAM.DELETE.TTS_SESSIONS",
        "$JS.API.STREAM.UPDATE.TTS_SESSIONS",
        "$JS.API.STREAM.PURGE.TTS_SESSIONS",
        "$JS.API.STREAM.MSG.GET.TTS_TEXTS",
        "$JS.API.DIRECT.GET.TTS_TEXTS",
        "$JS.API.CONSUMER.MSG.NEXT.TTS_SESSIONS.http_bridge",
        "$KV.tts_owners.http_bridge.victim",
        "$O.tts_phrases.C.victim",
        "tts.put.audio.victim.r",
        "tts.request.victim",
        "tts.text.victim.r",
        "_INBOX_synth.x",
        "_INBOX.x",
    ),
    "http_bridge": (
        "$JS.API.STREAM.DELETE.TTS_SESSIONS",
        "$JS.API.CONSUMER.MSG.NEXT.TTS_SESSIONS.ws_bridge",
        "$KV.tts_owners.ws_bridge.victim",
        "tts.put.audio.victim.r",
        "tts.load",
        "_INBOX_ws_bridge.x",
    ),
    "gateway": (
        "$JS.API.STREAM.DELETE.TTS_SESSIONS",
        "$JS.API.STREAM.UPDATE.TTS_SESSIONS",
        "$JS.API.STREAM.MSG.DELETE.TTS_SESSIONS",
        "$JS.API.STREAM.MSG.GET.TTS_TEXTS",
        "$JS.API.CONSUMER.MSG.NEXT.TTS_SESSIONS.synth",
        "$JS.ACK.TTS_SESSIONS.synth.1.1.1.1.0",
        "$KV.tts_owners.ws_bridge.victim",
        "tts.put.audio.victim.r",
        "tts.put.report.victim.r",
        "tts.put.heard.victim.r",
        "tts.reply.CALLERS.x",
        "_INBOX_synth.x",
        "_INBOX.x",
    ),
}
