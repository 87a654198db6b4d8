"""Settings of a node as its processes and its containers read them.

A file of its own: a node in containers needs neither the services nor what reads their settings.
"""

from __future__ import annotations


def setting_text(value: object) -> str:
    """A setting as in the environment: booleans as `true` and `false`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
