"""Turns text into lines for the engine: sentences, SSML, streamed text."""
