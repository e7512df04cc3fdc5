"""SIGINT and SIGTERM end a command in one line: both unwind the stack like an exception."""

from __future__ import annotations

import signal
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


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted(_CODES[signal.Signals(number)])
