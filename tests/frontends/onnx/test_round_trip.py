"""Random graphs of the op table, written to ONNX and lowered again, are the same function.

The truth is the graph that was written: what lowering recognises, merges and folds on the way back
must not change it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from irmodels import Case
from jointmodels import JOINT, operands
from onnxmodels import saved
from onnxwriter import RULES, attributes_as_onnx_has_them, of_dtype, written
from strategies import ALL_OPS, graphs

from absint.frontends.onnx import load
from absint.ir import OPS, Graph, evaluate

CLOSE = 1e-9
"""Of the largest value: a recognised formula is evaluated in another order."""


def test_every_op_is_written() -> None:
    assert RULES.keys() == OPS.keys() - {"input", "attend"}


def same(graph: Graph, x: np.ndarray, folder: Path) -> None:
    again = load(saved(written(graph), folder)).graph
    assert [port.shape for port in again.outputs] == [port.shape for port in graph.outputs]
    with np.errstate(all="ignore"):
        expected, got = evaluate(graph, x), evaluate(again, x)
    for e, g in zip(expected, got, strict=True):
        np.testing.assert_allclose(
            g, e, rtol=CLOSE, atol=CLOSE * np.abs(e[np.isfinite(e)]).max(initial=0)
        )


SETTINGS = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=60, **SETTINGS)
@given(
    graph=graphs(ALL_OPS, kinds=("integer", "dyadic"), radii=False),
    seed=st.integers(0, 2**32 - 1),
)
def test_drawn_graphs(graph: Graph, seed: int, tmp_path: Path) -> None:
    graph = attributes_as_onnx_has_them(graph)
    same(graph, np.random.default_rng(seed).normal(size=(8, graph.input_size)), tmp_path)


@pytest.mark.full
@settings(max_examples=3000, **SETTINGS)
@given(
    graph=graphs(ALL_OPS, kinds=("integer", "dyadic"), radii=False, depth=12),
    seed=st.integers(0, 2**32 - 1),
)
def test_many_drawn_graphs(graph: Graph, seed: int, tmp_path: Path) -> None:
    graph = attributes_as_onnx_has_them(graph)
    same(graph, np.random.default_rng(seed).normal(size=(8, graph.input_size)), tmp_path)


@pytest.mark.parametrize(
    "case", [case for case in JOINT if case.op != "attend"], ids=lambda case: case.name
)
def test_joint_nodes(case: Case, tmp_path: Path) -> None:
    dtype = "int64" if case.op == "embedding" else "float64"
    graph = of_dtype(case.graph(), dtype)
    flat = [part.reshape(6, -1) for part in operands(case, 6, seed=1)]
    same(graph, np.concatenate(flat, axis=1), tmp_path)
