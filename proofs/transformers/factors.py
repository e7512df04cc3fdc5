"""Lines below and above the factor of a normalisation: ``1 / sqrt(Q / n + epsilon)``.

Q is the sum of the squares of z, the normalised entries. The factor is convex in Q, and Q in z:
tangents of the one and chords of the other give a line below, and the reverse a line above.
Derivation: docs/rigor.md, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from absint.proofs.arithmetic import FloatArray, down, gamma, inflate, up
from absint.proofs.transformers.affine import Interval


@dataclass(frozen=True)
class Line:
    """``rate (slope . z) + offset``: (batch, groups, entries) and (batch, groups) twice."""

    slope: FloatArray
    rate: FloatArray
    offset: FloatArray


def parabolas(z: Interval) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """Slopes (batch, groups, entries) and offsets (batch, groups) of linear functions below the sum
    of squares of z, and below its negative.

    A parabola lies above each of its tangents, and below its chords.
    """
    lower, upper = z
    middle, slope = 0.5 * lower + 0.5 * upper, lower + upper
    tops = [up(up(end * end) + up(-slope * end)) for end in (lower, upper)]
    tangent = 2 * middle, -_most(up(middle * middle))
    return tangent, (-slope, -_most(np.maximum(*tops)))


def _most(each: FloatArray) -> FloatArray:
    """At least the sums over the last axis."""
    count, size = each.shape[-1], np.abs(each).sum(axis=-1)
    return up(each.sum(axis=-1) + inflate(gamma(count) * size, count + 4))


def lines(z: Interval, divisor: Interval, epsilon: float) -> tuple[Line, Line]:
    """Below and above ``1 / divisor``, where the divisor lies between these, (batch, groups)."""
    least, most = divisor
    count = z[0].shape[-1]
    (rise, base), (fall, top) = parabolas(z)
    touch = 1 / np.sqrt(0.5 * least * least + 0.5 * most * most)
    rate = up(up(up(touch * touch) * touch) / (2 * count))
    below = down(down(1.5 * touch) + down(rate * down(top - up(count * epsilon))))
    steep = 1 / (count * least * most * (least + most))
    ends = [up(up(1 / d) + up(up(steep * count) * up(d * d))) for d in divisor]
    above = up(np.maximum(*ends) - down(steep * down(base + down(count * epsilon))))
    return Line(fall, rate, below), Line(rise, -steep, above)
