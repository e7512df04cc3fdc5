"""auto_LiRPA as a second opinion: its bounds and ours, on every network that both can handle."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import vnncomp
from numpy.typing import NDArray

import absint.domains.lirpa.bounds as lirpa_bounds
from absint import api
from absint.domains import interval
from absint.domains.arrays import numpy_arrays
from absint.domains.lirpa import Lirpa
from absint.domains.lirpa.module import refused
from absint.domains.product import Query, analyse
from absint.ir import Constant, Graph, GraphBuilder, evaluate, to_bytes
from absint.problem import InputError, Problem
from absint.search.backend import analysis_by
from absint.search.options import SearchOptions
from absint.search.query import cell_query

FloatArray = NDArray[np.float64]
Interval = tuple[FloatArray, FloatArray]
ARRAYS = numpy_arrays()
SINGLE = 1e-4
"""auto_LiRPA computes in float32: this, relative to the largest bound, is what it may be off by."""
SMALL = 60_000
"""Neurons and weights of a network that takes both tools a second."""
SAMPLE = 12


@pytest.fixture(autouse=True, scope="module")
def installed() -> Iterator[None]:
    """CI installs it; elsewhere it may be missing."""
    try:
        importlib.metadata.version("auto_LiRPA")
    except importlib.metadata.PackageNotFoundError:
        if os.environ.get("CI") == "true":
            pytest.fail("auto_LiRPA is not installed")
        pytest.skip("auto_LiRPA is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it was written for older releases of PyTorch
        yield


def problem_of(model: str) -> tuple[Graph, Problem] | None:
    """The first instance of a benchmark's model, where both tools know all ops."""
    path = vnncomp.root() / model
    path = path if path.exists() else path.with_name(f"{path.name}.gz")
    region = vnncomp.root() / f"{vnncomp.properties(model)[0]}.gz"
    task = api.load(path, region)
    return None if refused(task.model.graph) else (task.model.graph, task.spec.properties[0])


def asked(graph: Graph, problem: Problem) -> tuple[Interval, Query]:
    lower, upper = problem.network_box(problem.cells[0])
    query = cell_query(problem.cells[0], graph.input_size, graph.output_size).query
    rng = np.random.default_rng(0)
    middle, size = (lower + upper) / 2, (upper - lower) / 2 * rng.uniform(0, 1, (2, 1))
    return (middle - size, middle + size), query


def our_linear(graph: Graph, box: Interval, query: Query) -> FloatArray:
    found = analyse(graph, box, query, ARRAYS)
    return least(found.coefficients, found.centre, box)


def least(coefficients: FloatArray, centre: FloatArray, box: Interval) -> FloatArray:
    radius = (box[1] - box[0])[..., None] / 2
    minimum: FloatArray = centre - (np.abs(coefficients) @ radius)[..., 0]
    return minimum


def our_intervals(graph: Graph, box: Interval, query: Query) -> FloatArray:
    places, bounds = graph.input_slices(), list[Interval]()
    for position, node in enumerate(graph.nodes):
        if node.op == "input":
            low, high = (end[:, places[position]].reshape((-1, *node.shape)) for end in box)
            bounds.append((low, high))
        else:
            bounds.append(interval.transform(node, [bounds[i] for i in node.inputs], ARRAYS))
    total: FloatArray = np.zeros((len(box[0]), len(query.bound))) - query.bound
    for position, place in graph.output_slices():
        low, high = (end.reshape((len(box[0]), -1)) for end in bounds[position])
        total += at_least(query.outputs[:, place], low, high)
    return total + at_least(query.inputs, *box)


def at_least(weights: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    found: FloatArray = low @ np.maximum(weights, 0).T + high @ np.minimum(weights, 0).T
    return found


def smallest_seen(graph: Graph, box: Interval, query: Query) -> FloatArray:
    """Of 200 points of each box, corners among them."""
    rng = np.random.default_rng(1)
    found = []
    for low, high in zip(*box, strict=True):
        share = np.concatenate(
            [rng.uniform(0, 1, (150, len(low))), rng.integers(0, 2, (50, len(low)))]
        )
        x = low + share * (high - low)
        rows = evaluate(graph, x) @ query.outputs.T + x @ query.inputs.T - query.bound
        found.append(rows.min(axis=0))
    return np.array(found)


def compare(graph: Graph, problem: Problem) -> None:
    box, query = asked(graph, problem)
    ours, seen = our_linear(graph, box, query), smallest_seen(graph, box, query)
    plain = our_intervals(graph, box, query)
    theirs = {name: Lirpa(graph, query, name).minimum(box) for name in ("IBP", "CROWN")}
    off = SINGLE * np.abs(theirs["IBP"]).max()
    assert theirs["IBP"] == pytest.approx(plain, abs=off)
    assert (theirs["CROWN"] <= seen + off).all(), "not a bound"
    assert (ours <= seen + off).all(), "not a bound"
    assert (theirs["CROWN"] <= ours + off).all(), "ours intersects with intervals, theirs does not"
    linear = Lirpa(graph, query).analyse(box, ARRAYS)
    again = least(linear.coefficients, linear.centre, box)
    assert again == pytest.approx(theirs["CROWN"], abs=off)


def small_models() -> list[str]:
    found = [m for m in vnncomp.models() if m.split("/")[0] not in ("vit", "lsnc", "oval21")]
    return found[:: max(1, len(found) // SAMPLE)]


@pytest.mark.parametrize("model", small_models())
def test_bounds_agree(model: str) -> None:
    read = problem_of(model)
    if read is None:
        pytest.skip("not for auto_LiRPA")
    graph, problem = read
    if sum(node.size for node in graph.nodes) + graph.parameter_count() > SMALL:
        pytest.skip("too large for the default run")
    compare(graph, problem)


@pytest.mark.full
@pytest.mark.parametrize("model", vnncomp.models())
def test_bounds_agree_everywhere(model: str) -> None:
    read = problem_of(model)
    if read is None:
        pytest.skip("not for auto_LiRPA")
    compare(*read)


def test_ascent_on_slopes_is_a_bound_and_no_worse() -> None:
    read = problem_of("safenlp/onnx/ruarobot/perturbations_0.onnx")
    assert read is not None
    graph, problem = read
    box, query = asked(graph, problem)
    fixed = Lirpa(graph, query, "CROWN").minimum(box)
    ascended = Lirpa(graph, query, "CROWN-Optimized").minimum(box)
    assert (ascended <= smallest_seen(graph, box, query) + 1e-5).all()
    assert (ascended >= fixed - 1e-5).all()
    assert (ascended > fixed + 0.01).any()


def test_its_proofs_are_checked_like_ours(tmp_path: Path) -> None:
    builder = GraphBuilder()
    x = builder.input("x", (2,))
    first = Constant(np.array([[1.0, -1.0, 0.5], [1.0, 1.0, -0.5]]))
    hidden = builder.add("relu", [builder.add("dense", [x], consts={"weight": first})])
    y = builder.add("dense", [hidden], consts={"weight": Constant(np.ones((3, 1)))})
    (tmp_path / "net.graph").write_bytes(to_bytes(builder.build({"y": y})))
    (tmp_path / "spec.yaml").write_text("region: {all: [-1, 1]}\nnever: y <= -0.1 or y >= 3.2\n")
    files = tmp_path / "net.graph", tmp_path / "spec.yaml"
    (result,) = api.verify(*files, SearchOptions(backend="lirpa", timeout=60, semantics="real"))
    assert result.verdict.value == "verified"
    assert result.certificate is not None
    assert api.check(result.certificate, *files, semantics="real").accepted


def test_without_the_library_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError("no module")

    monkeypatch.setattr(lirpa_bounds, "library", missing)
    read = problem_of("acasxu/onnx/ACASXU_run2a_1_1_batch_2000.onnx")
    assert read is not None
    graph, problem = read
    with pytest.raises(InputError, match="pip install --no-deps auto_LiRPA"):
        analysis_by("lirpa", graph, asked(graph, problem)[1], ARRAYS)


def test_loading_it_leaves_the_limit_on_recursion_as_it_was() -> None:
    """Release 0.3 sets a million, and then a file that is nested deeply ends the process."""
    code = (
        "import sys; before = sys.getrecursionlimit(); "
        "from absint.domains.lirpa.library import library; library(); "
        "sys.exit(sys.getrecursionlimit() != before)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
