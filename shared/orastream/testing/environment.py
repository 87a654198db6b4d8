"""Settings of a node as its processes and its containers read them.

A file of its own: a node in containers needs neither the services nor what reads their settings.
"""

from __future__ import annotations

from collections.abc import Mapping


def settings_text(settings: Mapping[str, object]) -> dict[str, str]:
    """Settings as in the environment, with their names in upper case, as the services read them."""
    return {name.upper(): setting_text(value) for name, value in settings.items()}


def setting_text(value: object) -> str:
    """A setting as in the environment: booleans as `true` and `false`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
