"""gevent and eventlet: which of them has replaced the threads of this process, and how to start a real thread.

Neither is imported here: who uses one has imported it, and has patched the modules before the first call.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from orastream.contract.errors import SettingsError


def patched_by() -> str | None:
    """Return "gevent" or "eventlet" if it has replaced `select`, so that waiting callers share one real thread.

    Raises SettingsError if it has replaced threads and not `select`: a waiting caller would block all others.
    """
    # Both may be imported, by a library that looks for them, and only one of them in use.
    if (monkey := sys.modules.get("gevent.monkey")) is not None:
        threads, waits = monkey.is_module_patched("threading"), monkey.is_module_patched("select")
        if _waits("gevent", threads, waits, "gevent.monkey.patch_all()"):
            return "gevent"
    if (patcher := sys.modules.get("eventlet.patcher")) is not None:
        threads, waits = patcher.is_monkey_patched("thread"), patcher.is_monkey_patched("select")
        if _waits("eventlet", threads, waits, "eventlet.monkey_patch()"):
            return "eventlet"
    return None


def _waits(library: str, threads: bool, waits: bool, fix: str) -> bool:
    if threads and not waits:
        raise SettingsError(f"{library} has replaced `threading` but not `select`; patch both, as with {fix}")
    return waits


def real_write_and_close() -> tuple[Callable[[int, bytes], int], Callable[[int], None]]:
    """`os.write` and `os.close` of the operating system, for a descriptor that no green thread waits for.

    eventlet's `write` repeats itself for ever when nobody reads any more. gevent's `close` closes later, if at all in a
    thread that ends, and by a table that real threads spoil.
    """
    if (monkey := sys.modules.get("gevent.monkey")) is not None and monkey.is_module_patched("os"):
        return monkey.get_original("os", "write"), monkey.get_original("os", "close")
    if (patcher := sys.modules.get("eventlet.patcher")) is not None and patcher.is_monkey_patched("os"):
        original = patcher.original("os")
        return original.write, original.close
    return os.write, os.close


def start_real_thread(library: str, run: Callable[[], None]) -> None:
    """Call `run` in a new thread of the operating system. `library` is what `patched_by` has returned."""

    def run_and_end() -> None:
        try:
            run()
        finally:
            _end_hub(library)

    _hub(library)  # two threads that make the first hub at once import its parts at once, and wait for ever
    if library == "gevent":
        start: Any = sys.modules["gevent.monkey"].get_original("_thread", "start_new_thread")
    else:
        start = sys.modules["eventlet.patcher"].original("_thread").start_new_thread
    start(run_and_end, ())


def _hub(library: str) -> Any:
    """The hub of this real thread, which switches between its green threads."""
    return importlib.import_module("gevent" if library == "gevent" else "eventlet.hubs").get_hub()


def _end_hub(library: str) -> None:
    """Otherwise the descriptors of the hub would stay open after its thread."""
    hub = _hub(library)
    if library == "gevent":
        hub.destroy()
        return
    if hub.running:
        hub.abort(wait=True)
    if hasattr(hub, "poll") and hasattr(hub.poll, "close"):
        hub.poll.close()
