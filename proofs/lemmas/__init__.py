"""What the checker's rules rest on, proved by z3 for all numbers. The checker never imports this.

``python -m absint.proofs.lemmas`` proves all and prints a line each.
"""

from __future__ import annotations

from absint.proofs.lemmas import coverage, decoding, elementwise, means, norms, phases, products
from absint.proofs.lemmas.lemma import Lemma, satisfied

LEMMAS: tuple[Lemma, ...] = (
    *elementwise.LEMMAS,
    *products.LEMMAS,
    *means.LEMMAS,
    *norms.LEMMAS,
    *coverage.LEMMAS,
    *phases.LEMMAS,
    *decoding.LEMMAS,
)

__all__ = ["LEMMAS", "Lemma", "satisfied"]
