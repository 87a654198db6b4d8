"""Executes a command that is killed when its parent dies: `python pdeathsig.py PARENT_PID COMMAND…`.

It is a program and not a function run after fork, because a fork of a process with threads may deadlock. It imports
only the standard library and runs with `-I -S`, so that it starts fast. Without PR_SET_PDEATHSIG, which only Linux has,
it just executes the command.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; kept across execve
NOT_FOUND = 127


def main() -> None:
    """Replace this process with the command. Never returns."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before prctl() took effect
        os._exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as exc:
        sys.stderr.write(f"{command[0]}: {exc.strerror}\n")
        os._exit(NOT_FOUND)


if __name__ == "__main__":
    main()
