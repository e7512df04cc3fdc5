"""SIGINT and SIGTERM end a command in one line: both unwind the stack like an exception.

Where something is to be kept, the first one only asks for an end (``noted``).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Interrupted(BaseException):
    """A signal asked the process to end; no ``except Exception`` on the way holds it up."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def install() -> None:
    """Raises ``Interrupted`` in the main thread on each signal that is not ignored already."""
    for number in _CODES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def restore() -> None:
    """Back to what the system does: the next signal ends the process."""
    for number in _CODES:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)


class Stop:
    """Whether a signal has asked for an end; ``exit_code`` is then the command's."""

    exit_code: int | None = None

    def __call__(self) -> bool:
        return self.exit_code is not None

    def note(self, number: int, frame: FrameType | None) -> None:
        """Raises ``Interrupted`` the second time."""
        if self():
            _interrupt(number, frame)
        self.exit_code = _CODES[signal.Signals(number)]


@contextmanager
def noted() -> Iterator[Stop]:
    """Meanwhile the first signal is only noted; where ``install`` was not called, none is."""
    stop, before = Stop(), {number: signal.getsignal(number) for number in _CODES}
    ours = [number for number, handler in before.items() if handler is _interrupt]
    for number in ours:
        signal.signal(number, stop.note)
    try:
        yield stop
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted(_CODES[signal.Signals(number)])
