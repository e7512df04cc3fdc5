"""Where something has no value, nothing is proved: over boxes, token sets and single texts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from absint.ir import Constant, Graph, GraphBuilder
from absint.proofs.bounds import Bounds
from absint.proofs.regions import Boxes, Rows
from absint.proofs.tokens import Tables, TokenSets
from absint.proofs.transformers import forward

FloatArray = NDArray[np.float64]
Build = Callable[[GraphBuilder, int], int]


def embedded(b: GraphBuilder, ids: int, rows: int = 3) -> int:
    """A table of which the first row is zero."""
    table = Constant(np.arange(2.0 * rows).reshape(rows, 2) * np.arange(rows)[:, None])
    return b.add("embedding", [ids], consts={"weight": table})


def normed(b: GraphBuilder, x: int) -> int:
    """RMS norm that divides by zero at zero."""
    return b.add("normalize", [x], attrs={"axes": 1, "centered": 0, "epsilon": 0.0})


def rooted(b: GraphBuilder, x: int) -> int:
    """log, that has no value at zero."""
    return b.add("log", [x])


def hidden(b: GraphBuilder, x: int) -> int:
    """What turns an infinite interval into a finite one, and that into the constant 2 or less."""
    two = {"weight": Constant(np.array(2.0)), "bias": Constant(np.ones(2))}
    return b.add("sigmoid", [b.add("scale", [x], consts=two)])


def behind(b: GraphBuilder, x: int, other: int) -> int:
    """Attention from ``other`` to x, of which any weight is between zero and one."""
    attrs = {"heads": 1, "kv_heads": 1, "scale": 1.0}
    return b.add("attend", [other, x, other, other, other], attrs=attrs)


def two_slots(first: Build, mixes: str, rows: int) -> Graph:
    b = GraphBuilder()
    ids = [b.input(f"token_{i}", (), "int64") for i in (0, 1)]
    x, other = hidden(b, first(b, embedded(b, ids[0], rows))), embedded(b, ids[1], 4)
    if mixes == "attend":
        y = behind(b, x, other)
    elif mixes == "sum":
        y = b.add("sum", [x, other], attrs={"coefficients": (1, 1)})
    else:
        y = b.add("mul", [x, other])
    return b.build({"y": hidden(b, y)}, "float64")


def plain(b: GraphBuilder, x: int) -> int:
    return x


def margins(graph: Graph, sets: NDArray[np.bool_], signs: bool = False) -> FloatArray:
    """Of ``2 - y``, positive whatever y is, since it is a sigmoid."""
    target = graph.outputs[0].node
    bounds = Bounds(graph, TokenSets(Tables(graph, sets.shape[2]), sets, target))
    rows = -np.eye(2)[None]
    none, zeros = np.zeros((1, 2, 0)), np.full((1, 2), -2.0)
    return bounds.minimum(Rows(none, none, rows, 0 * rows, zeros), signs)


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("mixes", ["attend", "sum", "mul"])
@pytest.mark.parametrize(
    ("first", "rows", "token"), [(normed, 4, 0), (rooted, 4, 0), (plain, 3, 3)]
)
def test_a_token_without_a_value_poisons_the_sets_that_hold_it(
    first: Build, rows: int, token: int, mixes: str, signs: bool
) -> None:
    graph = two_slots(first, mixes, rows)
    sets = np.ones((4, 2, 4), dtype=bool)
    sets[:2, 0, token] = False
    sets[1, 1, token] = False
    sets[3, 0] = np.arange(4) == token
    found = margins(graph, sets, signs)

    assert (found[:2] > 0).all()
    assert (found[2:] == -np.inf).all()


@pytest.mark.parametrize("op", ["log", "sqrt", "reciprocal", "normalize"])
@pytest.mark.parametrize("signs", [False, True])
def test_what_the_rows_depend_on_has_a_value(op: str, signs: bool) -> None:
    """Also behind a cut, a norm and a sigmoid that forget how it came about."""
    b = GraphBuilder()
    x = b.input("x", (2,), "float64")
    attrs = {"axes": 1, "centered": 0, "epsilon": 0.0} if op == "normalize" else {}
    y = hidden(b, b.add("softmax", [hidden(b, b.add(op, [x], attrs=attrs))]))
    graph = b.build({"y": y}, "float64")
    boxes = Boxes(graph, np.array([[-1.0, -1.0], [0.5, 0.5]]), np.ones((2, 2)))
    rows, none = -np.eye(2)[None], np.zeros((1, 2, 0))
    rows_ = Rows(none, none, rows, 0 * rows, np.full((1, 2), -2.0))
    found = Bounds(graph, boxes).minimum(rows_, signs)
    assert (found[0] == -np.inf).all()
    assert (found[1] > 0).all()


def test_no_op_loses_what_is_not_defined() -> None:
    """NaN in one batch entry of an operand makes NaN of that entry, and of no other."""
    graph = two_slots(normed, "attend", 4)
    for node in graph.nodes:
        if node.op == "input":
            continue
        xs = [(np.ones((2, *s)), np.ones((2, *s))) for s in node.in_shapes]
        xs[-1][1][0] = np.nan
        for end in forward.interval(node, xs):
            assert np.isnan(end[0]).all()
            assert not np.isnan(end[1]).any()
