"""Callbacks that can be removed, also while they are called."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orastream.broker.hooks import Hooks

pytestmark = pytest.mark.unit


def test_hooks_are_called_in_the_order_in_which_they_were_added() -> None:
    hooks, called = Hooks(), list[int]()
    for number in range(3):
        hooks.add(lambda number=number: called.append(number))
    hooks.call()
    assert called == [0, 1, 2]


def test_the_same_callback_may_be_added_twice_and_removed_once() -> None:
    hooks, called = Hooks(), list[int]()

    def hook() -> None:
        called.append(1)

    first, _ = hooks.add(hook), hooks.add(hook)
    first()
    first()
    hooks.call()
    assert called == [1]


def test_a_hook_that_was_removed_by_another_one_is_not_called() -> None:
    hooks, called = Hooks(), list[str]()
    removes: list[Callable[[], None]] = []
    hooks.add(lambda: removes.pop()())
    removes.append(hooks.add(lambda: called.append("removed")))
    hooks.add(lambda: called.append("kept"))
    hooks.call()
    assert called == ["kept"]
