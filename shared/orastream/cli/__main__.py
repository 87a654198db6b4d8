"""`python -m orastream.cli`: the same as the command `orastream`."""

from __future__ import annotations

import sys

from orastream.cli import main

if __name__ == "__main__":
    sys.exit(main())
