"""The constants of a lowered graph: exact where stored, enclosed where computed."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from onnxmodels import Array, agree, model, real, saved, single, var

from absint.frontends.onnx import load
from absint.ir import Constant
from absint.problem import InputError


def encloses(constant: Constant, exact: list[Fraction]) -> bool:
    radius = np.zeros(constant.value.shape) if constant.radius is None else constant.radius
    return all(
        abs(Fraction(float(v)) - e) <= Fraction(float(r))
        for v, r, e in zip(constant.value.flat, radius.flat, exact, strict=True)
    )


def fractions(array: Array) -> list[Fraction]:
    return [Fraction(float(v)) for v in array.flat]


def test_weights_keep_their_exact_values(tmp_path: Path) -> None:
    weight, bias = real(1, 3, 4, dtype="float32"), real(2, 4, dtype="float32")
    graph = load(saved(single("Gemm", var(1, 3), weight, bias), tmp_path)).graph
    consts = graph.nodes[1].consts
    assert np.array_equal(consts["weight"].value, weight)
    assert np.array_equal(consts["bias"].value, bias)
    assert consts["weight"].radius is None
    assert consts["bias"].radius is None


def test_a_float32_factor_times_float32_weights_holds_both_products(tmp_path: Path) -> None:
    """The exact one and what float32 arithmetic gives."""
    weight = real(1, 3, 4, dtype="float32")
    graph = load(saved(single("Gemm", var(1, 3), weight, alpha=0.1), tmp_path)).graph
    alpha, constant = Fraction(float(np.float32(0.1))), graph.nodes[1].consts["weight"]
    assert encloses(constant, [alpha * w for w in fractions(weight)])
    assert encloses(constant, fractions(weight * np.float32(0.1)))
    assert constant.radius is not None
    assert (constant.radius <= 2.0**-21 * np.abs(constant.value)).all()


def test_a_float32_factor_whose_products_are_float32_is_exact(tmp_path: Path) -> None:
    weight = real(1, 3, 4, dtype="float32")
    graph = load(saved(single("Gemm", var(1, 3), weight, alpha=0.5), tmp_path)).graph
    assert graph.nodes[1].consts["weight"].radius is None
    assert encloses(graph.nodes[1].consts["weight"], [w / 2 for w in fractions(weight)])


def test_a_float64_factor_gives_an_enclosure(tmp_path: Path) -> None:
    weight = real(1, 3, 4)
    proto = single("Gemm", var(1, 3), weight, alpha=0.1, dtype="float64")
    constant = load(saved(proto, tmp_path)).graph.nodes[1].consts["weight"]
    assert constant.radius is not None
    alpha = Fraction(float(np.float32(0.1)))
    assert encloses(constant, [alpha * w for w in fractions(weight)])


def test_batch_normalization_encloses_the_real_factors(tmp_path: Path) -> None:
    gamma, beta, mean = (real(i, 4, dtype="float32") for i in range(3))
    variance = np.abs(real(3, 4, dtype="float32"))
    operands = (gamma, beta, mean, variance)
    proto = single("BatchNormalization", var(1, 4), *operands, opset=15)
    node = load(saved(proto, tmp_path)).graph.nodes[1]
    epsilon = Fraction(float(np.float32(1e-5)))
    for i in range(4):
        g, b, m, v = (Fraction(float(array[i])) for array in operands)
        factors = [g / root for root in roots(v + epsilon)]
        assert holds(node.consts["weight"], i, factors)
        assert holds(node.consts["bias"], i, [b - m * factor for factor in factors])
    for constant in node.consts.values():
        assert constant.radius is not None
        assert constant.radius.max() < 1e-5


def test_batch_normalization_encloses_what_float32_makes_of_its_factors(tmp_path: Path) -> None:
    """Of the bias also where the mean is subtracted first: ``(0 - mean) weight + beta``."""
    gamma, beta, mean = (real(i, 4, dtype="float32") for i in range(3))
    mean = mean * np.float32(1e4)
    variance = np.abs(real(3, 4, dtype="float32"))
    proto = single("BatchNormalization", var(1, 4), gamma, beta, mean, variance, opset=15)
    consts = load(saved(proto, tmp_path)).graph.nodes[1].consts
    root = np.sqrt(variance + np.float32(1e-5))
    for weight in (gamma / root, gamma * (1 / root)):
        assert encloses(consts["weight"], fractions(weight))
        for bias in (beta - mean * weight, -mean * weight + beta, -(mean / root) * gamma + beta):
            assert bias.dtype == np.float32
            assert encloses(consts["bias"], fractions(bias))


def roots(square: Fraction) -> tuple[Fraction, Fraction]:
    """Two rationals around the square root, 2**-200 apart."""
    below = math.isqrt(int(square * 4**200))
    return Fraction(below, 2**200), Fraction(below + 1, 2**200)


def holds(constant: Constant, i: int, points: list[Fraction]) -> bool:
    """Entry i's enclosure contains all the points, and so everything between them."""
    assert constant.radius is not None
    value, radius = Fraction(float(constant.value[i])), Fraction(float(constant.radius[i]))
    return all(abs(value - point) <= radius for point in points)


def test_one_over_the_window(tmp_path: Path) -> None:
    ninth = single("AveragePool", var(1, 1, 3, 3), kernel_shape=[3, 3])
    weight = load(saved(ninth, tmp_path)).graph.nodes[1].consts["weight"]
    assert weight.radius is not None
    assert encloses(weight, [Fraction(1, 9)] * 9)
    quarter = single("AveragePool", var(1, 1, 2, 2), kernel_shape=[2, 2])
    weight = load(saved(quarter, tmp_path)).graph.nodes[1].consts["weight"]
    assert weight.radius is None
    assert encloses(weight, [Fraction(1, 4)] * 4)


def test_the_mean_of_a_row(tmp_path: Path) -> None:
    proto = single("ReduceMean", var(2, 7), axes=[1])
    weight = load(saved(proto, tmp_path)).graph.nodes[1].consts["weight"]
    assert encloses(weight, [Fraction(1, 7)] * 7)


def test_division_by_constants(tmp_path: Path) -> None:
    divisor = np.array([3.0, 4.0, -0.1], dtype=np.float32)
    weight = (
        load(saved(single("Div", var(1, 3), divisor), tmp_path)).graph.nodes[1].consts["weight"]
    )
    assert encloses(weight, [1 / d for d in fractions(divisor)])
    assert weight.radius is not None
    assert weight.radius[1] == 0


def test_arithmetic_between_constants_through_the_graph(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mul", ["a", "b"], ["c"]),
        helper.make_node("Sub", ["c", "a"], ["d"]),
        helper.make_node("Div", ["d", "b"], ["e"]),
        helper.make_node("Neg", ["e"], ["f"]),
        helper.make_node("Relu", ["f"], ["g"]),
        helper.make_node("MatMul", ["g", "b"], ["h"]),
        helper.make_node("Sqrt", ["a"], ["i"]),
        helper.make_node("Reciprocal", ["i"], ["j"]),
        helper.make_node("Add", ["h", "j"], ["k"]),
        helper.make_node("Transpose", ["k"], ["l"]),
        helper.make_node("Add", ["x", "l"], ["y"]),
    ]
    a, b = 0.5 + np.abs(real(1, 2, 2)), 0.5 + np.abs(real(2, 2, 2))
    proto = model(nodes, {"x": [2, 2]}, ["y"], {"a": a, "b": b}, dtype="float64")
    graph = agree(proto, tmp_path)
    bias = graph.nodes[1].consts["bias"]
    x, y = (np.array(fractions(array)).reshape(2, 2) for array in (a, b))
    g = np.maximum(-((x * y - x) / y), 0)
    without_root = bias.value.T - np.array((g @ y).tolist(), dtype=float)
    assert np.allclose(without_root * np.sqrt(a), 1, atol=1e-9)
    assert bias.radius is not None
    assert bias.radius.max() < 1e-13


def test_float16_constants_are_exact_in_a_float32_graph(tmp_path: Path) -> None:
    half = np.array([0.1, 65504.0, 6e-8], dtype=np.float16)
    nodes = [
        helper.make_node("Cast", ["c"], ["d"], to=1),
        helper.make_node("Add", ["x", "d"], ["y"]),
    ]
    graph = load(saved(model(nodes, {"x": [1, 3]}, ["y"], {"c": half}), tmp_path)).graph
    assert np.array_equal(graph.nodes[1].consts["bias"].value, half.astype(np.float64))


def test_subnormal_weights_are_exact_or_refused(tmp_path: Path) -> None:
    """Flush-to-zero, which a library may switch on, would change a weight in silence."""
    path = saved(single("Add", var(1, 2), np.array([1e-45, 0.0], dtype=np.float32)), tmp_path)
    assert load(path).graph.nodes[1].consts["bias"].value[0] == 2.0**-149
    torch = pytest.importorskip("torch")
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush to zero")
    try:
        with pytest.raises(InputError, match="subnormal"):
            load(path)
    finally:
        torch.set_flush_denormal(False)
