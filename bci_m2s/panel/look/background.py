"""Work that would stall the window, done in a thread; the result is fetched by the GUI thread.

A worker never touches a widget: it fills a future, and a timer that runs only while something is under way
looks at it. Nothing is called any more when the owner is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from PyQt6.QtCore import QObject, QTimer

LOOK_EVERY_MS = 30


class Background(QObject):
    """Runs pieces of work beside the window. owner : nothing is reported after it was deleted"""

    def __init__(self, owner: QObject) -> None:
        super().__init__(owner)
        self._under_way: list[tuple[Future[Any], Callable[[Any], None], Callable[[Exception], None]]] = []
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_EVERY_MS)
        self._timer.timeout.connect(self._look)

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._under_way)

    def start(
        self,
        work: Callable[[], Any],
        then: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Run `work` in a thread of its own; `then` or `failed` is called in this one."""
        future: Future[Any] = Future()
        self._under_way.append((future, then, failed))
        # A daemon: a look at the network must not hold up the end of the program.
        threading.Thread(target=_run, args=(work, future), name="panel-background", daemon=True).start()
        self._timer.start()

    def _look(self) -> None:
        done = [work for work in self._under_way if work[0].done()]
        self._under_way = [work for work in self._under_way if not work[0].done()]
        if not self._under_way:
            self._timer.stop()
        for future, then, failed in done:
            problem = future.exception()
            if isinstance(problem, Exception):
                failed(problem)
            else:
                then(future.result())


def _run(work: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(work())
    except Exception as problem:  # belongs to the caller, who gets it in the GUI thread
        future.set_exception(problem)
