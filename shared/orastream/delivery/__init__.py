"""Delivery code that all bridges share: pure rules and the tasks that apply them. Bridges differ only in their sink."""
