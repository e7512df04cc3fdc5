"""From an ONNX file with limits to a verdict: the largest output is known by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnxmodels import model, saved
from searchcases import BINDING, box, least

from absint.frontends.onnx import OnnxModel, load
from absint.frontends.runtime import OnnxRuntime
from absint.problem import Cell, Problem
from absint.proofs.check import check
from absint.proofs.format import Certificate
from absint.search.options import SearchOptions
from absint.search.prove import prove
from absint.search.result import Result, Verdict

Build = Callable[[], onnx.ModelProto]


def number(value: float) -> np.ndarray:
    return np.array(value, dtype=np.float32)


def limited() -> onnx.ModelProto:
    """y = clip(x0 + x1, -1, 1) - clip(x0, -1, 1): at most x1 where x1 >= 0, and |x1| throughout."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Clip", ["h", "low", "high"], ["c"]),
        helper.make_node("MatMul", ["c", "v"], ["y"]),
    ]
    constants = {
        "w": np.array([[1, 1], [1, 0]], dtype=np.float32),
        "v": np.array([[1], [-1]], dtype=np.float32),
        "low": number(-1.0),
        "high": number(1.0),
    }
    return model(nodes, {"x": [1, 2]}, ["y"], constants)


def folded() -> onnx.ModelProto:
    """y = | |x0| - |x1| |, at most the larger of |x0| and |x1|."""
    nodes = [
        helper.make_node("Abs", ["x"], ["h"]),
        helper.make_node("MatMul", ["h", "v"], ["d"]),
        helper.make_node("Abs", ["d"], ["y"]),
    ]
    constants = {"v": np.array([[1], [-1]], dtype=np.float32)}
    return model(nodes, {"x": [1, 2]}, ["y"], constants)


def bent() -> onnx.ModelProto:
    """y = max(p0 - p1, -1), p the prelu of x with slopes 1/4 and -1/2: p0 <= 2 and p1 >= 0."""
    nodes = [
        helper.make_node("PRelu", ["x", "slopes"], ["p"]),
        helper.make_node("MatMul", ["p", "v"], ["d"]),
        helper.make_node("Max", ["d", "floor"], ["y"]),
    ]
    constants = {
        "slopes": np.array([0.25, -0.5], dtype=np.float32),
        "v": np.array([[1], [-1]], dtype=np.float32),
        "floor": number(-1.0),
    }
    return model(nodes, {"x": [1, 2]}, ["y"], constants)


REGION = (("-2", "2"), ("-0.5", "0.5"))
LARGEST = [(limited, 0.5), (folded, 2.0), (bent, 2.0)]
"""The networks, and their largest outputs on the region."""


def solve(loaded: OnnxModel, bound: float) -> tuple[Problem, Result]:
    asked = Problem("p", 2, 1, (Cell(box(*REGION), ((least(0, bound),),)),))
    options = SearchOptions(timeout=10)
    return asked, prove(loaded.graph, asked, BINDING, OnnxRuntime(loaded).run, options)


@pytest.mark.parametrize(("build", "largest"), LARGEST)
def test_a_bound_above_the_largest_output(build: Build, largest: float, tmp_path: Path) -> None:
    loaded = load(saved(build(), tmp_path))
    asked, result = solve(loaded, largest + 0.01)
    assert result.verdict is Verdict.VERIFIED, result.reason
    assert result.certificate is not None
    assert check(Certificate.from_bytes(result.certificate), loaded.graph, asked).accepted


@pytest.mark.parametrize(("build", "largest"), LARGEST)
def test_a_bound_below_the_largest_output(build: Build, largest: float, tmp_path: Path) -> None:
    loaded = load(saved(build(), tmp_path))
    _, result = solve(loaded, largest - 0.01)
    assert result.verdict is Verdict.FALSIFIED
    assert result.counterexample is not None
    x = result.counterexample.x[None]
    assert OnnxRuntime(loaded).run(x)[0, 0] >= largest - 0.01
