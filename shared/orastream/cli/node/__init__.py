"""Processes of a node on this machine: which, with what settings, started, watched and stopped."""
