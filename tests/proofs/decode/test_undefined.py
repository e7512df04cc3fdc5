"""A token for which something in the network has no value proves nothing, by no rule."""

from __future__ import annotations

import numpy as np
import pytest

from absint.ir import Constant, Graph, GraphBuilder
from absint.problem.decode import Atom, DecodeProblem, Machine, Not, PromptCell
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.state import State

SIZE = 3
PROBLEM = DecodeProblem(
    name="p",
    vocabulary=("a", "b", "c"),
    cells=(PromptCell((frozenset(range(SIZE)),) * 2),),
    steps=1,
    stop=frozenset(),
    machines=(Machine("output", ((1, 0, 0), (1, 1, 1)), (0, 1)),),
    catastrophe=Not(Atom(0, frozenset({1}))),
)
"""Token 0 is always emitted: its logit is 10, the others' within [-1, 1], where there are any."""


def network(where: str, after: str) -> Graph:
    """Token 2 of slot 0 has no logarithm, of which a key, a value, or both are made."""
    builder = GraphBuilder()
    tokens = [builder.input(f"token_{i}", (), "int64") for i in range(2)]
    table = Constant(np.array([[1.0, 2.0], [2.0, 1.0], [-1.0, 1.0]]))
    short = Constant(np.array([[1.0, 2.0], [2.0, 1.0]]))
    xs = [builder.add("embedding", [t], consts={"weight": table}) for t in tokens]
    if where == "embedding":
        bad = builder.add("embedding", [tokens[0]], consts={"weight": short})
    else:
        bad = builder.add("log", [xs[0]])
    eye = {"weight": Constant(np.eye(2))}
    bad = builder.add("dense", [bad], consts=eye)
    if after:
        bad = builder.add(after, [bad])
    key, value = (bad if where in (part, "embedding") else xs[0] for part in ("key", "value"))
    attrs = {"heads": 1, "kv_heads": 1, "scale": 1.0}
    query = xs[1]
    mixed = builder.add("attend", [query, key, xs[1], value, xs[1]], attrs=attrs)
    if where == "sum":
        mixed = builder.add("sum", [mixed, bad], attrs={"coefficients": (1, 1)})
    flat = builder.add("tanh", [mixed])
    weight = Constant(np.array([[0.0, 0.0], [0.5, 0.5], [0.5, -0.5]]).T)
    logits = builder.add(
        "dense", [flat], consts={"weight": weight, "bias": Constant(np.array([10.0, 0.0, 0.0]))}
    )
    return builder.build({"logits_1": logits})


@pytest.mark.parametrize("where", ["key", "value", "sum", "embedding"])
@pytest.mark.parametrize("after", ["", "sigmoid", "tanh", "relu", "softplus", "floor"])
def test_what_has_no_value_proves_nothing(where: str, after: str) -> None:
    graph = network(where, after)
    bounds = StepBounds(PROBLEM, graph, 2)
    for mask, sound in ((0b011, True), (0b100, False), (0b111, False)):
        state = State((mask, 0b111), 0, (), (0,), False)
        assert bounds.excluded([state], [((0,), (0,))]) == [sound], mask
        assert bounds.runs.harmless(PROBLEM.cells[0], state) is sound, mask


def test_two_steps_with_the_same_logits() -> None:
    """A node may be the logits of several steps."""
    builder = GraphBuilder()
    tokens = [builder.input(f"token_{i}", (), "int64") for i in range(3)]
    table = {"weight": Constant(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.5]]))}
    xs = [builder.add("embedding", [t], consts=table) for t in tokens[:2]]
    logits = builder.add("sum", xs, attrs={"coefficients": (1, 1)})
    graph = builder.build({"logits_1": logits, "logits_2": logits})
    problem = DecodeProblem(
        name="p",
        vocabulary=("a", "b", "c"),
        cells=PROBLEM.cells,
        steps=2,
        stop=frozenset({1}),
        machines=(Machine("output", ((0, 0, 1), (1, 1, 1)), (0, 1)),),
        catastrophe=Atom(0, frozenset({1})),
    )
    runs = StepBounds(problem, graph, 2).runs
    assert runs.harmless(problem.cells[0], State((0b111, 0b111), 0, (), (0,), False))
