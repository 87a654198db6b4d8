"""gevent and eventlet: which of them has replaced the threads of this process, and how to start a real thread.

Neither is imported here: who uses one has imported it, and has patched the modules before the first call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from orastream.contract.errors import SettingsError


def patched_by() -> str | None:
    """Return "gevent" or "eventlet" if it has replaced `select`, so that waiting callers share one real thread.

    Raises SettingsError if it has replaced threads and not `select`: a waiting caller would block all others.
    """
    if (monkey := sys.modules.get("gevent.monkey")) is not None:
        threads, waits = monkey.is_module_patched("threading"), monkey.is_module_patched("select")
        library, fix = "gevent", "gevent.monkey.patch_all()"
    elif (patcher := sys.modules.get("eventlet.patcher")) is not None:
        threads, waits = patcher.is_monkey_patched("thread"), patcher.is_monkey_patched("select")
        library, fix = "eventlet", "eventlet.monkey_patch()"
    else:
        return None
    if threads and not waits:
        raise SettingsError(f"{library} has replaced `threading` but not `select`; patch both, as with {fix}")
    return library if waits else None


def start_real_thread(library: str, run: Callable[[], None]) -> None:
    """Call `run` in a new thread of the operating system. `library` is what `patched_by` has returned."""
    if library == "gevent":
        start: Any = sys.modules["gevent.monkey"].get_original("_thread", "start_new_thread")
    else:
        start = sys.modules["eventlet.patcher"].original("_thread").start_new_thread
    start(run, ())
