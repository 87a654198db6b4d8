"""The names of tags in TTS_SKIP_TAGS, whose content is not spoken (`text/skipped_tags`). Pure.

Apart from `text/`, because the settings need it and `text/` needs the settings.
"""

from __future__ import annotations

import re

MAX_TAGS = 16
"""Limit for the number of names."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:\-]{0,31}")


def tag_names(names: str) -> tuple[str, ...]:
    """Return the names that commas separate, in lower case, each once. Raises ValueError for what cannot be a name."""
    found = tuple(dict.fromkeys(name.strip().lower() for name in names.split(",") if name.strip()))
    for name in found:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name[:40]!r} is no name of a tag; write names of 1 to 32 letters, digits and _ . : - with commas "
                "between them, without < and >"
            )
    if len(found) > MAX_TAGS:
        raise ValueError(f"has {len(found)} names; write at most {MAX_TAGS}")
    return found
