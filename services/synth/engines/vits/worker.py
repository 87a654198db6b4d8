"""The thread that computes for all sentences that the process speaks at the same time.

A model uses all cores alone, so two models at the same time would slow each other down. The piece of work that is due
first comes first (`turns`). A waiting sentence polls its `stop` and cancels its work when stopped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from services.synth.engines.vits.turns import Turn, next_group, wait_s

_POLL_S = 0.02
_SIGN_OF_LIFE_S = 1.0

A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Waiting(Turn):
    work: Callable[[Sequence[Any]], Sequence[Any]]
    asked: Any
    future: Future[Any] = field(default_factory=Future)


class Worker:
    """Computes for any number of threads, one group at a time, with at most `most` pieces of one kind in a group.

    A group that is not full waits up to `bound_s` seconds for others. Thread-safe. `close` ends the thread.
    """

    def __init__(self, *, most: int, bound_s: float) -> None:
        self.groups: list[int] = []
        """Sizes of the newest 1000 groups."""
        self._most, self._bound_s = most, bound_s
        self._waiting: list[_Waiting] = []
        self._sentences = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="vits", daemon=True)
        self._thread.start()

    @contextmanager
    def sentence(self) -> Iterator[None]:
        """Marks the time of a sentence, in which it may ask for more work."""
        with self._changed:
            self._sentences += 1
        try:
            yield
        finally:
            with self._changed:
                self._sentences -= 1
                self._changed.notify_all()

    def alone(self, work: Callable[[], T], *, due_s: float = 0.0) -> Future[T]:
        """Returns a future for the result of `work`. `due_s` is by `time.monotonic`. Cancel the future to skip it."""
        return self._wait(lambda _: [work()], None, None, due_s)

    def together(self, kind: Hashable, work: Callable[[Sequence[A]], Sequence[T]], asked: A, due_s: float) -> Future[T]:
        """Returns a future for the result of `work` for `asked`, maybe batched with others of the kind. See `alone`."""
        return self._wait(work, asked, kind, due_s)

    def _wait(
        self, work: Callable[[Sequence[Any]], Sequence[Any]], asked: Any, kind: Hashable, due_s: float
    ) -> Future[Any]:
        turn = _Waiting(due_s=due_s, asked_s=time.monotonic(), kind=kind, work=work, asked=asked)
        with self._changed:
            if self._closed:
                raise RuntimeError("the worker is closed")
            self._waiting.append(turn)
            self._changed.notify_all()
        return turn.future

    def close(self) -> None:
        """Ends the thread after the current group. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next():
            self.groups = [*self.groups[-999:], len(group)]
            try:
                given = group[0].work([turn.asked for turn in group])
                for turn, result in zip(group, given, strict=True):
                    turn.future.set_result(result)
            except BaseException as exc:  # noqa: BLE001 - raised in the threads that asked; the worker goes on
                for turn in group:
                    if not turn.future.done():
                        turn.future.set_exception(exc)

    def _next(self) -> list[_Waiting]:
        """Waits for the next group and takes it; empty when the worker is closed."""
        with self._changed:
            while not self._closed:
                self._waiting = [turn for turn in self._waiting if not turn.future.cancelled()]
                group = next_group(self._waiting, self._most)
                if not group:
                    self._changed.wait()
                    continue
                left_s = wait_s(
                    group, most=self._most, sentences=self._sentences, bound_s=self._bound_s, now=time.monotonic()
                )
                if left_s > 0:
                    self._changed.wait(left_s)
                    continue
                self._waiting = [turn for turn in self._waiting if turn not in group]
                if taken := [turn for turn in group if turn.future.set_running_or_notify_cancel()]:
                    return taken
            for turn in self._waiting:
                turn.future.cancel()
            return []


def result_of(future: Future[Any], stop: Callable[[], bool]) -> Iterator[Any]:
    """Yields None about every second until the result, then the result; ends without it when `stop` returns True.

    Stopped or closed early, it cancels the future. Raises the future's exception.
    """
    signs = time.monotonic()
    try:
        while not stop():
            if wait((future,), _POLL_S).done:
                yield future.result()
                return
            if time.monotonic() - signs >= _SIGN_OF_LIFE_S:
                signs = time.monotonic()
                yield None
    finally:
        future.cancel()
