"""Telling a running tool to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .outcomes import ToolError


class Cancellation:
    """Whether a call was cancelled, and what is to happen when it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """Stop the call: run what was registered. Later calls do nothing."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` run on cancellation; at once if that has happened."""
        with self._lock:
            if not self._cancelled:
                self._callbacks.append(callback)
                return
        callback()

    def check(self, tool: str) -> None:
        """Give up if the call was cancelled.

        Raises:
            ToolError: it was.
        """
        if self._cancelled:
            raise ToolError(cancelled_text(tool))


def cancelled_text(tool: str) -> str:
    """What the model is told of a call that was cancelled."""
    return f"{tool}: the call was cancelled"
