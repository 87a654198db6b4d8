"""Become another program that dies with its parent: `python leash.py PARENT_PID COMMAND…`.

A program of its own rather than a function run after fork: forking a process that has threads may deadlock. Standard
library only, nothing of ours: it runs with `-I -S`, so that a service starts no later for it. On systems without
PR_SET_PDEATHSIG (it is Linux') it only becomes the program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; kept across execve
NOT_FOUND = 127


def main() -> None:
    """Never returns."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as exc:
        sys.stderr.write(f"{command[0]}: {exc.strerror}\n")
        os._exit(NOT_FOUND)


if __name__ == "__main__":
    main()
