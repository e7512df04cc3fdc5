"""What the analysis of a batch of boxes says of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.search.query import Decision

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Verdicts:
    """The analysis of one batch: decisions, and what drives the bound that is furthest from zero.

    ``coefficients`` and ``influence`` are (batch, input_size); ``rows`` were pushed back for it.
    """

    decision: Decision
    coefficients: FloatArray
    influence: FloatArray
    rows: int

    def take(self, which: NDArray[np.int64]) -> Verdicts:
        """Those on some boxes."""
        found = self.decision
        decision = Decision(
            found.score[which],
            found.focus[which],
            [found.rules[i] for i in which],
            [found.operands[i] for i in which],
        )
        return Verdicts(decision, self.coefficients[which], self.influence[which], self.rows)

    def replace(self, where: NDArray[np.int64], better: Verdicts) -> None:
        """Takes over the verdicts on some boxes of the batch."""
        for name in ("score", "focus"):
            getattr(self.decision, name)[where] = getattr(better.decision, name)
        for place, box in enumerate(where):
            self.decision.rules[box] = better.decision.rules[place]
            self.decision.operands[box] = better.decision.operands[place]
        self.coefficients[where], self.influence[where] = better.coefficients, better.influence


def join(parts: list[Decision]) -> Decision:
    """Those of parts of a batch, one after another."""
    return Decision(
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.focus for part in parts]),
        [rule for part in parts for rule in part.rules],
        [operands for part in parts for operands in part.operands],
    )
