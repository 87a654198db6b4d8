"""Turns PCM into chunks: cutting, encoding, resampling, tempo."""
