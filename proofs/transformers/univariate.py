"""Elementwise functions: rigorous images of intervals, and offsets for given slopes.

The checker's own facts, kept apart from the IR's on purpose; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from absint.ir import Node
from absint.ir.pieces import Piece, touching
from absint.proofs import transcendental as elementary
from absint.proofs.arithmetic import FloatArray
from absint.proofs.transcendental import Enclosure
from absint.proofs.transformers import activations as act
from absint.proofs.transformers.curved import Curved, Domain, Steps, Wave
from absint.proofs.transformers.piecewise import Interval, PiecewiseLinear

Function = PiecewiseLinear | Curved | Wave | Steps
Bounded = Callable[[FloatArray], Enclosure]

_INEXACT = 2.0**-70
"""More than bends and extrema that are rounded to floats can cost: docs/rigor.md."""


def _curved(
    value: Bounded,
    slope: Bounded,
    bends: tuple[float, ...],
    convex: tuple[bool, ...],
    extrema: tuple[float, ...] = (),
    domain: Domain = "all",
    loss: float = 0.0,
) -> Callable[[Node], Function]:
    return lambda node: Curved(
        value, slope, partial(_touching, node), bends, convex, extrema, domain, loss
    )


def _touching(node: Node, slope: FloatArray, piece: Piece) -> FloatArray:
    found: FloatArray = touching(node, slope, piece, np)
    return found


def _s_shaped(value: Bounded, slope: Bounded) -> Callable[[Node], Function]:
    return _curved(value, slope, (0.0,), (True, False))


def _gated(
    value: Bounded, slope: Bounded, bends: tuple[float, float], least: float
) -> Callable[[Node], Function]:
    return _curved(value, slope, bends, (False, True, False), (least,), loss=_INEXACT)


def _clip(node: Node) -> PiecewiseLinear:
    lower, upper = node.extended("lower"), node.extended("upper")
    if lower == -np.inf:
        return PiecewiseLinear((upper,), (upper,), (1.0, 0.0))
    if upper == np.inf:
        return PiecewiseLinear((lower,), (lower,), (0.0, 1.0))
    return PiecewiseLinear((lower, upper), (lower, upper), (0.0, 1.0, 0.0))


def _elu(node: Node) -> Function:
    alpha = node.number("alpha")
    value, slope = partial(act.elu, alpha=alpha), partial(act.elu_slope, alpha=alpha)
    return _curved(value, slope, (0.0,), (alpha >= 0, True), (0.0,))(node)


def _power(node: Node) -> Function:
    n = node.integer("exponent")
    value, slope = partial(act.power, exponent=n), partial(act.power_slope, exponent=n)
    if n % 2:
        return _curved(value, slope, (0.0,), (False, True))(node)
    return _curved(value, slope, (), (True,), (0.0,))(node)


UNIVARIATE_OPS: dict[str, Callable[[Node], Function]] = {
    "relu": lambda node: PiecewiseLinear((0.0,), (0.0,), (0.0, 1.0)),
    "leaky_relu": lambda node: PiecewiseLinear((0.0,), (0.0,), (node.number("alpha"), 1.0)),
    "abs": lambda node: PiecewiseLinear((0.0,), (0.0,), (-1.0, 1.0)),
    "clip": _clip,
    "sigmoid": _s_shaped(elementary.sigmoid, act.logistic_slope),
    "tanh": _s_shaped(elementary.tanh, act.tanh_slope),
    "erf": _s_shaped(elementary.erf, act.erf_slope),
    "exp": _curved(elementary.exp, elementary.exp, (), (True,)),
    "log": _curved(elementary.log, act.reciprocal, (), (False,), domain="positive"),
    "sqrt": _curved(act.root, act.root_slope, (), (False,), domain="nonnegative"),
    "reciprocal": _curved(
        act.reciprocal, act.reciprocal_slope, (0.0,), (False, True), domain="nonzero"
    ),
    "power": _power,
    "sin": lambda node: Wave(0, partial(_touching, node)),
    "cos": lambda node: Wave(1, partial(_touching, node)),
    "gelu": _gated(
        act.gelu, act.gelu_slope, (-1.4142135623730951, 1.4142135623730951), -0.7517915246935645
    ),
    "gelu_tanh": _gated(
        act.gelu_tanh,
        act.gelu_tanh_slope,
        (-1.4185040087908283, 1.4185040087908283),
        -0.7524614220710163,
    ),
    "silu": _gated(
        act.silu, act.silu_slope, (-2.3993572805154675, 2.3993572805154675), -1.2784645427610737
    ),
    "mish": _gated(
        act.mish, act.mish_slope, (-2.256376396360793, 1.4905711794854284), -1.1924312145154952
    ),
    "softplus": _curved(elementary.softplus, elementary.sigmoid, (), (True,)),
    "elu": _elu,
    "hard_swish": _curved(
        act.hard_swish, act.hard_swish_slope, (-3.0, 3.0), (True, True, True), (-1.5,)
    ),
    "sign": lambda node: Steps(act.sign),
    "floor": lambda node: Steps(act.floor),
    "round": lambda node: Steps(act.nearest_even),
}


@dataclass(frozen=True)
class Relaxation:
    """``lower_slope t + lower_offset <= f(t) <= upper_slope t + upper_offset`` on an interval."""

    lower_slope: FloatArray
    lower_offset: FloatArray
    upper_slope: FloatArray
    upper_offset: FloatArray

    def sizes(self) -> tuple[FloatArray, FloatArray]:
        """The largest absolute values of slopes and of offsets."""
        steep = np.maximum(np.abs(self.lower_slope), np.abs(self.upper_slope))
        return steep, np.maximum(np.abs(self.lower_offset), np.abs(self.upper_offset))


def relax(node: Node, x: Interval, slopes: tuple[FloatArray, FloatArray]) -> Relaxation:
    """A sound relaxation with the given (lower, upper) slopes: offsets are computed here."""
    function = UNIVARIATE_OPS[node.op](node)
    return Relaxation(
        slopes[0],
        -function.largest_gap(x, slopes[0], -1),
        slopes[1],
        function.largest_gap(x, slopes[1], 1),
    )
