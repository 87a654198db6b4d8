"""`python -m tests.bench`, or `python tests/bench` from anywhere."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Started as a folder: the folder itself is on the path, the repository is not.
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

from tests.bench.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
