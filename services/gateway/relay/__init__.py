"""Passes requests and cancels of callers on to the streams, within the limits of each caller."""
