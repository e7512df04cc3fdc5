"""What onnxruntime computes in float32 lies inside the float32 enclosure of the lowered graph."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import conformance
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from absint.frontends.lowering.values import MalformedError
from absint.frontends.onnx.lower import lower
from absint.frontends.onnx.registry import MAX_OPSET, MIN_OPSET, RULES
from absint.ir import Graph
from absint.problem.contract import FLOAT32
from absint.proofs.bounds import Bounds
from absint.proofs.regions import Boxes
from absint.proofs.transformers.rounding import uncovered

FloatArray = NDArray[np.float64]

POINTS = 4
LARGEST = 8_000
"""Values of the graphs that are tried."""
SAMPLE = 2
"""Networks of each op that are tried by default."""


def runs(op: str) -> Iterator[tuple[str, Graph, FloatArray, FloatArray]]:
    """Networks of one node with points (batch, inputs) and onnxruntime's outputs there."""
    for case in conformance.cases()[op]:
        for inputs, _ in case.data_sets:
            for variables in conformance._choices(case.model, len(inputs)):
                found = _network(case, inputs, variables)
                if found is not None and (ys := _outputs(*found)) is not None:
                    yield f"{case.name} of {sorted(variables)}", found[1], found[2], ys


def _network(
    case: Any, inputs: Any, variables: frozenset[str]
) -> tuple[onnx.ModelProto, Graph, FloatArray] | None:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    if not variables or not all(isinstance(v, np.ndarray | np.generic) for v in inputs):
        return None
    for entry in model.opset_import:
        entry.version = max(MIN_OPSET, min(entry.version, MAX_OPSET))
    model.ir_version = min(model.ir_version, 10)
    try:
        flat = conformance._split(model, list(model.graph.input), inputs, variables)
        graph = lower(model).graph
    except MalformedError:
        return None
    if graph is None or uncovered(graph, FLOAT32) or sum(n.size for n in graph.nodes) > LARGEST:
        return None
    base, rng = np.concatenate(flat), np.random.default_rng(0)
    shifts = rng.normal(size=(POINTS, base.size)) * rng.choice([0.01, 1.0], (POINTS, 1))
    x = np.concatenate([base[None], base + shifts]).astype(np.float32)
    return model, graph, x.astype(np.float64)


def _outputs(model: onnx.ModelProto, graph: Graph, x: FloatArray) -> FloatArray | None:
    """None where onnxruntime does not take the model."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        ys = [
            np.concatenate([np.asarray(y, np.float64).reshape(-1) for y in session.run(None, feed)])
            for feed in (_feed(graph, row) for row in x)
        ]
    except Exception:
        return None
    return np.stack(ys)


def _feed(graph: Graph, row: FloatArray) -> dict[str, NDArray[np.float32]]:
    ends = np.cumsum([port.size for port in graph.inputs])[:-1]
    parts = np.split(row.astype(np.float32), ends)
    return {p.name: part.reshape(p.shape) for p, part in zip(graph.inputs, parts, strict=True)}


def outside(graph: Graph, x: FloatArray, ys: FloatArray) -> int:
    """How many outputs leave the enclosure; those without any are not counted."""
    bounds = Bounds(graph, Boxes(graph, x, x), FLOAT32)
    places, count = graph.output_slices(), 0
    for node, place in places:
        lower, upper = (e.reshape((len(x), -1)) for e in bounds.enclosure(node))
        known = ~np.isnan(lower) & np.isfinite(ys[:, place])
        y = ys[:, place]
        count += int((known & ((y < lower) | (y > upper))).sum())
    return count


def enclosed(most: int | None) -> dict[str, int]:
    """How many networks of each op were tried; none may leave its enclosure."""
    tried = dict.fromkeys(sorted(RULES), 0)
    for op in tried:
        for name, graph, x, ys in itertools.islice(runs(op), most):
            assert outside(graph, x, ys) == 0, name
            tried[op] += 1
    return {op: count for op, count in tried.items() if count}


def test_what_onnxruntime_computes_is_enclosed() -> None:
    assert len(enclosed(SAMPLE)) >= 85


@pytest.mark.full
def test_what_onnxruntime_computes_is_enclosed_in_every_case() -> None:
    tried = enclosed(None)
    print(sum(tried.values()), "networks of", len(tried), "ops")
    assert len(tried) >= 85
