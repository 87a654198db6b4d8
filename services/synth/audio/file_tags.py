"""What the header of a coded file says about the speech in it: that a machine made it, and which one. Pure.

The terms are of IPTC's vocabulary `digitalsourcetype` (https://cv.iptc.org/newscodes/digitalsourcetype/).
"""

from __future__ import annotations

_TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MAX_CHARS = 200


def speech_tags(engine: str, version: str, *, trained: bool) -> dict[str, str]:
    """Returns the tags of a file with speech of that engine. `trained`: its model has learned from recordings.

    All attempts at a file have the same tags, because another version may not continue a file with a header.
    """
    return {
        "comment": "Synthetic speech",
        "encoded_by": _plain(f"{engine} {version}"),
        "digital_source_type": _TERMS + ("trainedAlgorithmicMedia" if trained else "algorithmicMedia"),
    }


def _plain(text: str) -> str:
    """Returns the text without characters that would end a tag, and short: the header is in a chunk of 1 KiB."""
    return "".join(c for c in text if c.isprintable())[:_MAX_CHARS]
