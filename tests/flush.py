"""Flush-to-zero mode: subnormal results become zero, and subnormal operands read as zero."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest


def is_on() -> bool:
    return float(np.float64(2.0**-1000) * np.float64(2.0**-50)) == 0.0


@contextmanager
def flush_to_zero(on: bool = True) -> Iterator[None]:
    """Runs the body in that mode (this thread and those it starts); skips where there is none."""
    if not on:
        yield
        return
    import torch

    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no flush-to-zero mode")
    try:
        assert is_on()
        yield
    finally:
        torch.set_flush_denormal(False)
        assert not is_on()
