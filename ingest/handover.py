"""A thread that works on one thing while the next is being prepared: in order, and never more than two."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")

_IDLE_S = 0.2
_LEAVE_S = 15.0


class Handover(Generic[Item]):
    """Hands things over to a thread of its own; what the work raises is raised where they are handed over."""

    def __init__(self, work: Callable[[Item], None], idle: Callable[[], None]) -> None:
        """Do `work` with each thing, and `idle` about every 0.2 s while nothing is there."""
        self._work, self._idle = work, idle
        self._slot: queue.Queue[Item] = queue.Queue(maxsize=1)
        self._taken = threading.Event()
        self._taken.set()
        self._leave = threading.Event()
        self._failure: BaseException | None = None
        # A daemon, so that a database that never answers cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="ingest-commit", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread once it is done with what it has; what waits behind that is left undone.

        Raises what the work raised, unless the block raised itself.
        """
        self._leave.set()
        self._thread.join(_LEAVE_S)
        if self._failure is not None and error is None:
            raise self._failure

    def has_room(self, timeout_s: float) -> bool:
        """Wait until the thread has taken what was put last; False where it did not in time.

        Raises what the work raised.
        """
        taken = self._taken.wait(timeout_s)
        if self._failure is not None:
            raise self._failure
        return taken

    def put(self, item: Item) -> None:
        """Hand a thing over; only after `has_room` said so."""
        self._taken.clear()
        self._slot.put_nowait(item)

    def _run(self) -> None:
        try:
            while not self._leave.is_set():
                try:
                    item = self._slot.get(timeout=_IDLE_S)
                except queue.Empty:
                    self._idle()
                    continue
                self._taken.set()
                self._work(item)
        except BaseException as error:  # noqa: BLE001 (raised again by the other thread)
            self._failure = error
            self._taken.set()
