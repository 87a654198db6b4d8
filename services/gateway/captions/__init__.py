"""Timed captions of an utterance, as WebVTT and SubRip."""
