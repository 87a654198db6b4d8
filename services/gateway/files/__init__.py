"""Finished audio files: their sizes, their parts, and where each part is stored."""
