"""Coefficients of single entries of a node, as multipliers of phases give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.proofs.arithmetic import TINY, FloatArray, U

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Terms:
    """``sum values . v[entry]`` over entries of one node's value v, up to ``lost``.

    ``sets`` and ``entries`` are (terms,), no pair of them twice; ``values`` is (terms, rows),
    ``sizes`` the sum of the absolute values of what was added up to each, and ``lost`` what each
    value may be off by.
    """

    sets: IntArray
    entries: IntArray
    values: FloatArray
    sizes: FloatArray
    lost: FloatArray

    def take(self, which: slice | list[int]) -> Terms:
        """Some of the rows."""
        own = (part[:, which] for part in (self.values, self.sizes, self.lost))
        return Terms(self.sets, self.entries, *own)

    def added(
        self, c: FloatArray | None, shape: tuple[int, ...], reach: FloatArray, flush: float
    ) -> tuple[FloatArray, FloatArray]:
        """Coefficients (batch, rows, *shape) with these added, and what that may lose, (batch,
        rows), for values within ``reach`` (batch or 1, *shape), which differ by no more than
        ``flush`` for those who read them. None stands for no coefficients."""
        full = np.zeros(shape) if c is None else np.broadcast_to(c, shape).copy()
        flat, far = full.reshape((*shape[:2], -1)), reach.reshape((len(reach), -1))
        earlier = flat[self.sets, :, self.entries]
        found = earlier + self.values
        flat[self.sets, :, self.entries] = found
        near = far[self.sets if len(far) > 1 else 0, self.entries][:, None]
        loss = np.zeros(shape[:2])
        off = (2 * U * np.abs(found) + 2 * self.lost) * near + 8 * TINY * (1 + near)
        np.add.at(loss, self.sets, off + 2 * flush * (self.sizes + np.abs(earlier)))
        return full, loss
