"""What is said to a process in which only threads were replaced. The real packages are in tests/hosts."""

from __future__ import annotations

import sys
import types

import pytest

from orastream.client.green_threads import patched_by
from orastream.contract.errors import SettingsError

pytestmark = pytest.mark.unit


def library(name: str, *patched: str) -> types.ModuleType:
    module = types.ModuleType(name)
    check = "is_module_patched" if name.startswith("gevent") else "is_monkey_patched"
    setattr(module, check, lambda what: what in patched)
    return module


@pytest.mark.parametrize(("name", "threads"), [("gevent", "threading"), ("eventlet", "thread")])
def test_what_was_replaced_decides(monkeypatch: pytest.MonkeyPatch, name: str, threads: str) -> None:
    module = f"{name}.monkey" if name == "gevent" else f"{name}.patcher"
    assert patched_by() is None
    monkeypatch.setitem(sys.modules, module, library(module))
    assert patched_by() is None
    monkeypatch.setitem(sys.modules, module, library(module, threads, "select"))
    assert patched_by() == name
    monkeypatch.setitem(sys.modules, module, library(module, "select"))
    assert patched_by() == name
    monkeypatch.setitem(sys.modules, module, library(module, threads))
    with pytest.raises(SettingsError, match=f"^{name} has replaced `threading` but not `select`; patch both"):
        patched_by()


def test_a_library_that_is_only_imported_does_not_hide_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gevent.monkey", library("gevent.monkey"))
    monkeypatch.setitem(sys.modules, "eventlet.patcher", library("eventlet.patcher", "thread", "select"))
    assert patched_by() == "eventlet"
