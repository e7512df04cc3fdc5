"""Small networks, properties and certificates for tests of the checker, all made from seeds."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from absint.ir import Constant, Graph, GraphBuilder, digest
from absint.problem import Box, Cell, LinearConstraint, Problem, constraint
from absint.proofs.format import Certificate
from absint.proofs.stream import Writer

MODEL, SPEC = "11" * 32, "22" * 32


@dataclass(frozen=True)
class ProofCase:
    """A network with a property that holds and one that does not, with its counterexample."""

    name: str
    graph: Graph
    safe: Problem
    unsafe: Problem
    counterexample: tuple[Fraction, ...]


def certificate(graph: Graph, problem: Problem, proofs: Sequence[bytes]) -> Certificate:
    return Certificate(MODEL, SPEC, digest(graph), problem, tuple(proofs))


def plateau() -> Graph:
    """y0 = relu(x0 - x1) + relu(x1 - x0) = |x0 - x1|, y1 = x0 + x1: readable by hand."""
    builder = GraphBuilder()
    x = builder.input("x", (2,))
    w = Constant(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    h = builder.add("relu", [builder.add("dense", [x], consts={"weight": w})])
    distance = builder.add("dense", [h], consts={"weight": Constant(np.ones((2, 1)))})
    total = builder.add("dense", [x], consts={"weight": Constant(np.ones((2, 1)))})
    return builder.build({"distance": distance, "total": total})


def problem(graph: Graph, *cells: Cell, name: str = "p") -> Problem:
    return Problem(name, graph.input_size, graph.output_size, cells)


def box(*ends: tuple[int | Fraction, int | Fraction]) -> Box:
    return Box(tuple(Fraction(a) for a, _ in ends), tuple(Fraction(b) for _, b in ends))


def output_at_least(index: int, bound: Fraction | int) -> LinearConstraint:
    """The constraint ``y[index] >= bound``."""
    return constraint((), [(index, Fraction(-1))], -Fraction(bound))


def far_apart(graph: Graph, bound: Fraction | int) -> Problem:
    """Catastrophe: distance >= bound and total <= 1, or total >= 5; on [0, 2] x [0, 2]."""
    near = constraint((), [(1, Fraction(1))], Fraction(1))
    rows = ((output_at_least(0, bound), near), (output_at_least(1, 5),))
    return problem(graph, Cell(box((0, 2), (0, 2)), rows))


def plateau_stream() -> bytes:
    """A proof of ``far_apart(1.2)`` in which every rule but EMPTY and OPEN occurs."""
    writer = Writer()
    writer.halve(0)  # x0 <= 1, then x0 >= 1
    writer.split(1, 1.125)
    writer.safe([0, 0])  # distance <= 1.125
    writer.safe([1, 0])  # total >= 1.125
    writer.halve(1)  # x1 <= 1, then x1 >= 1
    writer.mix([64, 64, 3])  # distance = x0 - x1, so 1.2 - distance + total - 1 >= 0.2
    writer.safe([1, 0])  # total >= 2
    return writer.to_bytes()


def random_network(seed: int, sizes: Sequence[int], activation: str = "relu") -> Graph:
    """A dense network with a residual connection; weights are float32."""
    rng, builder = np.random.default_rng(seed), GraphBuilder()
    h = builder.input("x", (sizes[0],))
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        w = rng.normal(0, fan_in**-0.5, (fan_in, fan_out)).astype(np.float32)
        b = rng.normal(0, 0.3, fan_out).astype(np.float32)
        before = h
        h = builder.add("dense", [h], consts={"weight": Constant(w), "bias": Constant(b)})
        if layer < len(sizes) - 2:
            h = builder.add(activation, [h])
            if fan_in == fan_out:
                h = builder.add("sum", [h, before], attrs={"coefficients": (1, 1)})
    return builder.build({"y": h})


def searched(graph: Graph, claim: Problem, seconds: float = 20.0) -> Certificate:
    """The certificate that the search finds; the test fails where it finds none."""
    from absint.ir import evaluate
    from absint.search.options import SearchOptions
    from absint.search.prove import Binding, prove

    result = prove(
        graph,
        claim,
        Binding(MODEL, SPEC),
        lambda x: np.asarray(evaluate(graph, x)),
        SearchOptions(timeout=seconds),
    )
    assert result.verdict.value == "verified", result.reason
    assert result.certificate is not None
    return Certificate.from_bytes(result.certificate)


@functools.cache
def case(seed: int, activation: str = "relu") -> ProofCase:
    """A random network with a bound on its first output that holds with little to spare.

    The safe problem has two cells, each cut by a constraint; the unsafe one is the same with a
    bound below the largest value found by sampling.
    """
    graph = random_network(seed, (2, 6, 6, 2), activation)
    rng = np.random.default_rng(seed)
    from absint.ir import evaluate

    x = rng.integers(-8, 9, (4000, 2)) / 8.0
    y = np.asarray(evaluate(graph, x))
    score = y[:, 0] - y[:, 1]
    inside = x.sum(axis=1) <= 1.5
    best = int(np.where(inside, score, -np.inf).argmax())
    top = Fraction(float(score[best]))
    width = Fraction(float(score.max() - score.min()))

    def claim(bound: Fraction) -> Problem:
        bound = Fraction(round(bound * 1000), 1000)
        rows = (constraint((), [(0, Fraction(-1)), (1, Fraction(1))], -bound),)
        other = (output_at_least(0, bound + 100), output_at_least(1, bound - 100))
        cut = constraint([(0, Fraction(1)), (1, Fraction(1))], (), Fraction(3, 2))
        left = Cell(box((-1, 0), (-1, 1)), (rows, other), (cut,))
        right = Cell(box((0, 1), (-1, 1)), (rows, other), (cut,))
        return problem(graph, left, right)

    point = tuple(Fraction(float(v)) for v in x[best])
    safe, unsafe = claim(top + width / 80), claim(top - width / 80)
    return ProofCase(f"{activation}-{seed}", graph, safe, unsafe, point)
