"""The text form: exact with its constants, readable without, and wrong text ends in its line."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import vnncomp
from hypothesis import given, settings
from irmodels import AFFINE, random_graph
from strategies import ALL_OPS, graphs

from absint.frontends.onnx import load
from absint.ir import Constant, Graph, GraphBuilder, GraphFormatError, digest
from absint.ir.text import parse, render

SMALL = 1 << 20
"""Bytes of a model file, compressed, that is written out in full."""


def sample() -> Graph:
    builder = GraphBuilder()
    x = builder.input('a "quoted" # name\n', (1, 2), "float64")
    builder.input("unused", (), "int64")
    weight = Constant(np.array([[1.5], [-0.0]]), np.array([[2.0**-1074], [0.0]]))
    bias = Constant(np.array([0.1]))
    y = builder.add("dense", [x], consts={"weight": weight, "bias": bias}, name="fc # 1\n%9 = x")
    z = builder.add("clip", [y], attrs={"lower": -np.inf, "upper": 0.1})
    w = builder.add("scale", [z], consts={"bias": bias})
    g = builder.add("gather", [w], consts={"index": Constant(np.array([[-1, 0]]))})
    return builder.build({"y": g, "again": g}, "float64")


TEXT = """\
%0 = input "a \\"quoted\\" # name\\n" float64 [1, 2]
%1 = input "unused" int64 []
%2 = dense(%0) bias=c0[1] weight=c1[2x1] -> [1, 1]  # fc # 1\\n%9 = x
%3 = clip(%2) lower=-inf upper=0.1 -> [1, 1]
%4 = scale(%3) bias=c0[1] -> [1, 1]
%5 = gather(%4) index=c2[1x2] -> [1, 2]
output "y" float64 = %5
output "again" float64 = %5
c0 = float[1] 0.1
c1 = float[2x1] 1.5 -0.0
c1 radius 5e-324 0.0
c2 = int[1x2] -1 0
"""


def test_what_it_looks_like() -> None:
    assert render(sample(), constants=True) == f"# sha256 {digest(sample())}\n{TEXT}"


def test_a_summary_names_each_constant_and_does_not_read_back() -> None:
    text = render(sample())
    assert "c1 = float[2x1] sha256 " in text
    assert ", -0 .. 1.5 +- 4.94e-324" in text
    with pytest.raises(GraphFormatError, match=r"line 10: a summary of a constant"):
        parse(text)


def test_the_summary_of_another_constant_is_another() -> None:
    def summary(value: float) -> str:
        builder = GraphBuilder()
        x = builder.input("x", (2,))
        bias = Constant(np.array([0.0, value, 1.0])[:2])
        return render(builder.build({"y": builder.add("scale", [x], consts={"bias": bias})}))

    assert summary(0.5).splitlines()[-1] != summary(np.nextafter(0.5, 1)).splitlines()[-1]


def same(graph: Graph) -> None:
    again = parse(render(graph, constants=True))
    assert digest(again) == digest(graph)
    assert again.inputs == graph.inputs
    assert again.outputs == graph.outputs


def test_the_sample_reads_back() -> None:
    same(sample())


@pytest.mark.parametrize("case", AFFINE, ids=lambda case: case.name)
def test_every_affine_node_reads_back(case: object) -> None:
    same(case.graph())  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", range(20))
def test_random_networks_read_back(seed: int) -> None:
    same(random_graph(seed))


@settings(max_examples=100, deadline=None)
@given(graph=graphs(ALL_OPS))
def test_drawn_graphs_read_back(graph: Graph) -> None:
    same(graph)


def small_models() -> list[str]:
    found: dict[str, str] = {}
    for model in vnncomp.models():
        if (vnncomp.root() / f"{model}.gz").stat().st_size < SMALL:
            found.setdefault(model.split("/", 1)[0], model)
    return sorted(found.values())


@pytest.mark.parametrize("model", small_models())
def test_a_benchmark_of_each_family_reads_back(model: str) -> None:
    same(load(vnncomp.root() / f"{model}.gz").graph)


@pytest.mark.full
@pytest.mark.parametrize("model", vnncomp.models())
def test_every_small_benchmark_reads_back(model: str) -> None:
    path = vnncomp.root() / f"{model}.gz"
    if len(gzip.decompress(path.read_bytes())) > 4 * SMALL:
        pytest.skip("too large to be read as text")
    same(load(path).graph)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("%2 = dense(%0)", "%2 = dense(%2)", "line 3: .*does not exist"),
        ("%2 = dense(%0)", "%2 = dents(%0)", "line 3: 'dents'"),
        ("%2 = dense(%0)", "%7 = dense(%0)", "line 3: %2 comes next, not %7"),
        ("%2 = dense(%0)", "%2 = dense(%0) bias=c0[1]", "line 3: bias is given twice"),
        ("bias=c0[1] weight", "bias=c9[1] weight", "line 3: there is no constant c9"),
        ("weight=c1[2x1]", "weight=c1[1x2]", r"line 3: there is no constant c1 of shape \[1, 2\]"),
        (" lower=-inf", "", "line 4: clip has attributes"),
        ("upper=0.1", "upper=high", "line 4: could not convert"),
        ("upper=0.1 -> [1, 1]", "upper=0.1 -> [1, 2]", r"line 4: the result has shape \[1, 1\]"),
        ("output", "outputs", "line 7: neither a node, an output nor a constant"),
        ('"y" float64 = %5', '"y" float64 = %6', "line 7: "),
        ("c0 = float[1] 0.1", "c0 = float[1] 0.1 0.2", "line 9: cannot reshape"),
        ("c0 = float[1] 0.1", "c0 = float[1] nan", "line 9: a constant is NaN or infinite"),
        ("c0 = float[1] 0.1", "c1 = float[1] 0.1", "line 10: c1 is defined a second time"),
        ("c1 radius 5e-324", "c1 radius -5e-324", "line 11: a radius must be non-negative"),
        ("c1 radius 5e-324", "c3 radius 5e-324", "line 11: 3"),
        ("c2 = int[1x2] -1", "c2 = int[1x2] 99999999999999999999", "line 12: "),
    ],
)
def test_wrong_text(old: str, new: str, message: str) -> None:
    assert TEXT.count(old) >= 1
    with pytest.raises(GraphFormatError, match=message):
        parse(TEXT.replace(old, new, 1))


def test_no_output() -> None:
    with pytest.raises(GraphFormatError, match="no output"):
        parse('%0 = input "x" float32 [1]')
