"""The enclosures of elementwise functions against ball arithmetic, with no tolerance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import exact
import flint
import numpy as np
import pytest
from flush import flush_to_zero
from numpy.typing import NDArray

from absint.proofs.transcendental import (
    Enclosure,
    erf,
    exp,
    exp_of_negative,
    log,
    sigmoid,
    sin,
    softplus,
    tanh,
)
from absint.proofs.transformers import activations as act

FloatArray = NDArray[np.float64]
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")
flint.ctx.prec = 300  # a value nearer to a bound than 2^-300 counts as equal to it


def arguments(count: int, seed: int = 0) -> FloatArray:
    """Of both signs and every magnitude, dense where the functions bend and reductions change."""
    rng = np.random.default_rng(seed)
    special = [0.0, 5e-324, 2.0**-1074 * 3, 2.0**-1022, 1e-300, 1e-30, 2.0**-53, 699.999, 700.0]
    special += [700.0000001, 708.4, 745.1, 1e5, 3.4e38, 1.7e308, 36.7, 37.0, 18.99, 19.1]
    edges = (np.arange(1, 60)[:, None] - 0.5) * np.log(2) * (1 + np.array([-1, 0, 1]) * 2.0**-52)
    parts = [
        np.array(special),
        edges.reshape(-1),
        np.linspace(0.0, 45.0, count // 3),
        10.0 ** rng.uniform(-320, 3, count // 3),
        rng.uniform(0, 710, count // 3),
    ]
    size = np.concatenate(parts)
    return np.concatenate([size, -size])


def arb_sigmoid(x: Any) -> Any:
    return 1 / (1 + (-x).exp())


ROOT_TWO = flint.arb(2).sqrt()
OTHERS: dict[str, tuple[Callable[[FloatArray], Enclosure], Callable[[Any], Any]]] = {
    "exp": (exp, lambda x: x.exp()),
    "log": (log, lambda x: x.log()),
    "softplus": (softplus, lambda x: x.exp().log1p()),
    "sin": (sin, lambda x: x.sin()),
    "cos": (lambda x: sin(x, 1), lambda x: x.cos()),
    "minus sin": (lambda x: sin(x, 2), lambda x: -x.sin()),
    "erf": (erf, lambda x: x.erf()),
    "sqrt": (act.root, lambda x: x.sqrt()),
    "reciprocal": (act.reciprocal, lambda x: 1 / x),
    "square": (lambda x: act.power(x, 2), lambda x: x**2),
    "cube": (lambda x: act.power(x, 3), lambda x: x**3),
    "power 11": (lambda x: act.power(x, 11), lambda x: x**11),
    "gelu": (act.gelu, lambda x: x * (-x / ROOT_TWO).erfc() / 2),
    "gelu_tanh": (act.gelu_tanh, lambda x: exact.FUNCTIONS["gelu_tanh"](None, x)),  # type: ignore[arg-type]
    "silu": (act.silu, lambda x: x / (1 + (-x).exp())),
    "mish": (act.mish, lambda x: x * x.exp().log1p().tanh()),
    "elu": (lambda x: act.elu(x, 1.5), lambda x: x if x > 0 else x.expm1() * 3 / 2),
}
FUNCTIONS: list[tuple[Callable[[FloatArray], Enclosure], Callable[[Any], Any]]] = [
    (sigmoid, arb_sigmoid),
    (tanh, lambda x: x.tanh()),
]
NAMES = ["sigmoid", "tanh"]


def assert_encloses(found: Enclosure, x: FloatArray, truth: Callable[[Any], Any]) -> None:
    for low, high, argument in zip(found[0].tolist(), found[1].tolist(), x.tolist(), strict=True):
        value = truth(flint.arb(argument))
        assert not value < low, argument
        assert not value > high, argument


@pytest.mark.parametrize("flush", [False, True])
def test_exp(flush: bool) -> None:
    """On 10^5 points."""
    x = np.minimum(arguments(50_000 if flush else 100_000), 0.0)
    with flush_to_zero(flush):
        found = exp_of_negative(x)
    assert len(x) > 100_000 or flush
    truth = np.frompyfunc(lambda v: flint.arb(v).exp(), 1, 1)(x[x >= -1e4])
    low, high = (end[x >= -1e4] for end in found)
    for least, value, most in zip(low.tolist(), truth, high.tolist(), strict=True):
        assert not value < least
        assert not value > most
    assert (found[0][x < -1e4] == 0).all()
    normal = (x > -700) & (x < 0)
    assert (found[1][normal] <= found[0][normal] * (1 + 2.0**-44)).all()


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize(("function", "truth"), FUNCTIONS, ids=NAMES)
def test_encloses(
    function: Callable[[FloatArray], Enclosure], truth: Callable[[Any], Any], flush: bool
) -> None:
    x = arguments(9_000)
    with flush_to_zero(flush):
        found = function(x)
    wide = np.abs(x) < 1e5  # beyond, the ball of exp itself is not finite
    assert_encloses((found[0][wide], found[1][wide]), x[wide], truth)
    for sign, limit in ((1, 1.0), (-1, float(function(np.array([-np.inf]))[0][0]))):
        far = ~wide & (np.sign(x) == sign)
        assert (np.minimum(found[0][far], limit) == found[0][far]).all() or sign < 0
        assert (found[1][far] >= limit).all()


@pytest.mark.parametrize(("function", "truth"), FUNCTIONS, ids=NAMES)
def test_is_tight_and_nearly_monotone(
    function: Callable[[FloatArray], Enclosure], truth: Callable[[Any], Any]
) -> None:
    x = np.sort(arguments(30_000))
    low, high = function(x)
    size = np.maximum(np.abs(low), np.abs(high))
    assert ((high - low) <= 1e-9 * size + 2.0**-1000).all()
    assert (low[:-1] <= high[1:]).all()
    assert np.isfinite(low).all()
    assert np.isfinite(high).all()


@pytest.mark.parametrize("function", [sigmoid, tanh])
def test_infinities_and_nan(function: Callable[[FloatArray], Enclosure]) -> None:
    low, high = function(np.array([np.inf, -np.inf, np.nan]))
    assert 1 - 1e-10 < low[0] <= 1
    assert high[0] == 1
    limit = 0.0 if function is sigmoid else -1.0
    assert low[1] <= limit <= high[1] < limit + 1e-10
    assert np.isnan(low[2])
    assert np.isnan(high[2])


def test_ranges_are_those_of_the_functions() -> None:
    x = arguments(3_000)
    assert (sigmoid(x)[0] >= 0).all()
    assert (sigmoid(x)[1] <= 1).all()
    assert (tanh(x)[0] >= -1).all()
    assert (tanh(x)[1] <= 1).all()


def in_domain(name: str, x: FloatArray) -> FloatArray:
    if name in ("log", "sqrt"):
        return x[x >= 2.0**-1022]
    return x[np.abs(x) >= 2.0**-1022] if name == "reciprocal" else x


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("name", OTHERS)
def test_others_enclose(name: str, flush: bool) -> None:
    function, truth = OTHERS[name]
    x = in_domain(name, arguments(3_000))
    with flush_to_zero(flush), np.errstate(all="ignore"):
        low, high = function(x)
    assert not np.isnan([low, high]).any()
    known = np.isfinite(low) & np.isfinite(high)
    assert_encloses((low[known], high[known]), x[known], truth)
    assert (low <= high).all()


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_tight(name: str) -> None:
    """Relatively, but where values cancel: there within 1e-11."""
    function, _ = OTHERS[name]
    rng = np.random.default_rng(1)
    x = in_domain(name, np.concatenate([rng.normal(0, 5, 2000), 10.0 ** rng.uniform(-9, 2, 500)]))
    low, high = function(x)
    size = np.maximum(np.abs(low), np.abs(high))
    assert ((high - low) <= 1e-12 * size + 1e-11).all()
    if name in ("exp", "log", "softplus", "erf", "sqrt", "reciprocal", "silu", "mish"):
        assert ((high - low) <= 1e-12 * size + 2.0**-980).all()


@pytest.mark.parametrize("edge", [0, 1, 2, 3])
def test_waves_at_the_ends_of_the_reduction(edge: int) -> None:
    """At multiples of pi / 4, where the reduction turns over, up to its reach and beyond."""
    turns = np.concatenate([np.arange(-50, 50), np.arange(2**20 - 60, 2**20 + 60)])
    x = np.outer(turns, [np.pi / 4, 1.0]).reshape(-1) * (1 + edge * 2.0**-52)
    for quarters, truth in enumerate((lambda t: t.sin(), lambda t: t.cos())):
        assert_encloses(sin(x, quarters), x, truth)
    assert sin(np.array([2.0**20 + 1, np.inf]))[0].tolist() == [-1.0, -1.0]
    assert np.isnan(sin(np.array([np.nan]))[0]).all()


def test_log_has_no_value_where_it_is_not_defined() -> None:
    low, high = log(np.array([0.0, -0.0, -1.0, np.nan, -np.inf, 5e-324]))
    assert np.isnan(low).all()
    assert np.isnan(high).all()
    low, high = log(np.array([np.inf]))
    assert 700 < low[0] < 710
    assert high[0] == np.inf
