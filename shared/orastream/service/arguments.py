"""The command line of a service, which takes no arguments: its help, and the refusal of anything else."""

from __future__ import annotations

import sys
from collections.abc import Sequence

SETTINGS_PAGE = "docs/reference/settings.md"
HELP = f"""\
{{about}}
It runs until SIGTERM or Ctrl-C.

It takes no arguments. Its settings are environment variables, or lines of .env in the working directory;
{SETTINGS_PAGE} describes them.
"""


def answer(name: str, about: str, arguments: Sequence[str]) -> int | None:
    """Answer `-h`, `--help` and wrong arguments. Returns the exit code, or None without arguments: the service starts.

    `about` says what the service does: the docstring of its `__main__`.
    """
    if not arguments:
        return None
    if arguments[0] in ("-h", "--help"):
        sys.stdout.write(HELP.format(about=about.replace("`", "").strip()))
        return 0
    sys.stderr.write(f"{name}: takes no arguments, got {arguments[0]!r}; set environment variables ({SETTINGS_PAGE})\n")
    return 2
