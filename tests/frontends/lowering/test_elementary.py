"""Functions of constants are enclosed: held against ball arithmetic of far higher precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flint import arb, ctx
from onnx import helper
from onnxmodels import agree, model, ops, real

from absint.frontends.lowering.elementary import image
from absint.frontends.lowering.values import Const, MalformedError

FUNCTIONS = ["exp", "log", "sin", "cos", "tanh", "erf", "sigmoid"]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("radius", [0.0, 1e-9])
def test_an_enclosure_holds_the_function(function: str, radius: float) -> None:
    small = 1e-300 if radius == 0 else 1e-8
    values = np.concatenate([np.exp(real(0, 40)), [small, 700.0, 1.0, 0.5]])
    found = image(function, Const(values, "float64", np.full(values.shape, radius)))
    assert found.radius is not None
    before, ctx.prec = ctx.prec, 300
    try:
        for x, y, r in zip(values, found.value, found.radius, strict=True):
            for point in (x - 0.9 * radius, x, x + 0.9 * radius):
                ball = arb(float(point))
                true = (
                    1 / (1 + (-ball).exp()) if function == "sigmoid" else getattr(ball, function)()
                )
                assert abs(true - arb(float(y))) <= arb(float(r))
            if radius == 0:
                assert r <= 4 * np.spacing(abs(y)) + 1e-300
    finally:
        ctx.prec = before


@pytest.mark.parametrize(("function", "value"), [("log", 0.0), ("log", -1.0), ("exp", 800.0)])
def test_what_has_no_finite_value(function: str, value: float) -> None:
    with pytest.raises(MalformedError, match="is not finite"):
        image(function, Const(np.array([value]), "float64"))


def test_exact_values_stay_exact() -> None:
    assert image("exp", Const(np.zeros(2), "float64")).radius is None


def test_a_table_of_waves_is_folded(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cos", ["c"], ["w"]),
        helper.make_node("Mul", ["x", "w"], ["y"]),
    ]
    graph = agree(model(nodes, {"x": [2, 3]}, ["y"], {"c": real(1, 3, dtype="float32")}), tmp_path)
    assert ops(graph) == ["scale"]
    assert graph.nodes[1].consts["weight"].radius is not None
