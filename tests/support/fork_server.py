"""`python -m tests.support.fork_server SERVICE`: has a service imported, and starts it by a fork for each command.

To import a service takes more CPU than most tests use besides, and the tests start hundreds of services. A fork begins
where `python -m services.SERVICE` is after its imports; from there on both run the same code.

Commands come on stdin, a line of JSON each, and are answered on stdout with their number `n`:

    {"n": …, "env": {…}, "cwd": "…", "log": "…"}  → {"n": …, "pid": …}   a new process; its output is added to the log
    {"n": …, "ended": pid}                        → {"n": …, "code": …}  of a process that has ended, as in subprocess

Its processes are killed when it ends, and it ends when its stdin does. It has one thread, so a fork is safe.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import sys
import threading
import time
from typing import Any

from orastream.cli.node.pdeathsig import PR_SET_PDEATHSIG


def main(service: str) -> None:
    """Serve until stdin ends. In a new process: run the service, and raise SystemExit at its end."""
    importlib.import_module(f"services.{service}.__main__")
    del sys.modules[f"services.{service}.__main__"]  # runpy imports it again, and would warn
    assert threading.active_count() == 1, "a fork copies one thread"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    gc.collect()
    gc.freeze()  # else the collector of each process would copy all pages
    own = os.getpid()
    while line := sys.stdin.buffer.readline():
        command = json.loads(line)
        answer = {"n": command["n"]}
        if "ended" in command:
            answer |= {"code": os.waitstatus_to_exitcode(os.waitpid(command["ended"], 0)[1])}
        elif pid := os.fork():
            answer |= {"pid": pid}
        else:
            become(own, command)
            runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)
            return
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def become(parent: int, command: dict[str, Any]) -> None:
    """Give this new process the environment, the folder and the files that a started one has."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before prctl() took effect
        os._exit(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for file, number in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(file, number)
    os.close(nothing)
    os.close(log)
    os.environ.clear()
    os.environ.update(command["env"])
    time.tzset()
    os.chdir(command["cwd"])
    del sys.argv[1:]
    gc.unfreeze()


if __name__ == "__main__":
    main(sys.argv[1])
