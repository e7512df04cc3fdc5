"""Progress on stderr: one line that is rewritten, on a terminal only."""

from __future__ import annotations

import sys
import time

INTERVAL = 0.2


class ProgressLine:
    """Shows the state of a search; prints nothing where stderr is no terminal."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._shown = 0.0
        self._width = 0
        self._active = sys.stderr.isatty()

    def search(self, moment: object) -> None:
        """Shows what a moment of a search says of itself."""
        self._show(str(moment))

    def check(self, leaves: int) -> None:
        self._show(f"checking: {leaves} leaves")

    def clear(self) -> None:
        if self._active and self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
            self._width = 0

    def _show(self, text: str) -> None:
        if not self._active or time.monotonic() - self._shown < INTERVAL:
            return
        self._shown = time.monotonic()
        line = f"  {self.label}: {text}"
        self._width, width = len(line), max(self._width, len(line))
        print("\r" + line.ljust(width), end="", file=sys.stderr, flush=True)
