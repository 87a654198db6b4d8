"""Plug-ins of voice agent frameworks: `livekit` (LiveKit Agents) and `pipecat`, each with an extra of the same name.

`speech` is what both use. Nothing here is imported by the rest of the library.
"""
