"""The line to the database: what a transaction asks waits in a queue, so that the engine computes meanwhile.

One thread asks, one thing after the other and in the order given: a transaction has one connection, and
its statements follow each other. The thread only waits and moves bytes; what costs the processor something
is done by who gave the order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Orders:
    """What is to be asked within one transaction."""

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._given: list[Future[object]] = []
        self._failure: BaseException | None = None

    def later(self, ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Ask when everything given before has been asked."""
        future = self._thread.submit(self._ask, lambda: ask(*args, **kwargs))
        self._given.append(future)  # type: ignore[arg-type] # what it gives is not looked at here
        return future

    def now(self, ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask, and wait for the answer; raises what the first failed order raised."""
        return self.later(ask, *args, **kwargs).result()

    def settle(self) -> None:
        """Wait until everything was asked; raises what the first failed order raised."""
        for future in self._given:
            future.result()
        self._given.clear()

    def drop(self) -> None:
        """Forget what was not asked yet, and wait for what is being asked."""
        for future in self._given:
            future.cancel()
        wait(self._given)

    def _ask(self, ask: Callable[[], T]) -> T:
        # After a failure the database takes nothing more, and would only say so.
        if self._failure is not None:
            raise self._failure
        try:
            return ask()
        except BaseException as error:
            self._failure = error
            raise


class Line:
    """A thread that asks; it lives as long as its owner."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine-database")

    @contextmanager
    def orders(self) -> Iterator[Orders]:
        """Take orders; when the block ends all were asked, and when it raises no more will be."""
        orders = Orders(self._thread)
        try:
            yield orders
            orders.settle()
        finally:
            orders.drop()
