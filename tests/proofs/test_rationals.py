"""The checker's claims in rationals: bounds that hold, rigorous ones around them, and leaves."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from exact import evaluate, points
from irmodels import PIECEWISE, random_graph
from proofcases import box, case, certificate, problem, searched

from absint.ir import Constant, Graph, GraphBuilder
from absint.problem import Cell, constraint
from absint.problem.contract import FLOAT32
from absint.proofs.bounds import Bounds
from absint.proofs.check import check
from absint.proofs.exact.bounds import ExactBounds
from absint.proofs.exact.check import recheck
from absint.proofs.exact.numbers import exact_all
from absint.proofs.format import CertificateError
from absint.proofs.regions import Boxes, Rows
from absint.proofs.stream import Rule, Step, Writer, nearest_multiplier

F = Fraction
SEEDS = range(40)


def fraction(x: object) -> Fraction:
    return Fraction(int(x.p), int(x.q))  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", SEEDS)
def test_bounds_hold_and_rigorous_ones_lie_around_them(seed: int) -> None:
    graph, rng = random_graph(seed, activations=PIECEWISE), np.random.default_rng(seed)
    for lower, upper in islice(moderate(graph, rng), 2):
        exact, rigorous = ExactBounds(graph, lower, upper), bounds(graph, lower, upper)
        for x in points(lower, upper, rng, 2):
            for found, (low, high) in zip(evaluate(graph, x), exact.values, strict=True):
                flat = zip(found.reshape(-1), low.reshape(-1), high.reshape(-1), strict=True)
                assert all(fraction(a) <= y <= fraction(b) for y, a, b in flat)
        for position, (low, high) in enumerate(exact.values):
            outer = rigorous.values[position]
            assert_just_below(outer[0][0], low)
            assert_just_below(-outer[1][0], -high)
        ((node, place), *_) = graph.output_slices()
        units = np.eye(place.stop - place.start)
        least = exact.minimum({node: exact_all(units).reshape((-1, *graph.nodes[node].shape))})
        assert_just_below(rigorous.minimum(rows(graph, units, place))[0], least)


def moderate(graph: Graph, rng: np.random.Generator):  # type: ignore[no-untyped-def]
    while True:
        middle = np.round(rng.normal(size=graph.input_size) * 4) / 4
        radius = rng.choice([0.0, 2.0**-10, 0.25, 1.0, 3.0], graph.input_size)
        yield (middle - radius).tolist(), (middle + radius).tolist()


def bounds(graph: Graph, lower: list[float], upper: list[float]) -> Bounds:
    return Bounds(graph, Boxes(graph, np.array([lower]), np.array([upper])))


def rows(graph: Graph, units: np.ndarray, place: slice) -> Rows:  # type: ignore[type-arg]
    outputs = np.zeros((1, len(units), graph.output_size))
    outputs[0, :, place] = units
    none = np.zeros((1, len(units), 0))
    return Rows(none, none, outputs, 0 * outputs, np.zeros((1, len(units))))


def assert_just_below(lower: np.ndarray, exact: np.ndarray) -> None:  # type: ignore[type-arg]
    for found, value in zip(lower.reshape(-1).tolist(), exact.reshape(-1), strict=True):
        gap = fraction(value) - Fraction(found)
        assert 0 <= gap <= Fraction(1, 10**7) * (1 + abs(Fraction(found)))


def test_all_leaves_of_a_search_hold() -> None:
    for seed in (0, 1):
        kase = case(seed)
        found = searched(kase.graph, kase.safe)
        report = recheck(found, kase.graph)
        assert report.checked == report.leaves == check(found, kase.graph).leaves
        assert not report.failed


def test_a_sample_is_drawn_and_drawn_again() -> None:
    kase = case(0)
    found = searched(kase.graph, kase.safe)
    few = recheck(found, kase.graph, sample=3)
    assert (few.checked, few.leaves) == (3, check(found, kase.graph).leaves)
    assert recheck(found, kase.graph, sample=10**9).checked == few.leaves


def test_what_is_false_does_not_hold() -> None:
    """The proof of a bound that holds, about one that does not: some leaf is false."""
    kase = case(0)
    found = searched(kase.graph, kase.safe)
    wrong = replace(found, problem=kase.unsafe)
    assert recheck(wrong, kase.graph).failed


def bent(output: float) -> Graph:
    """y = relu(x) - output * x."""
    builder = GraphBuilder()
    x = builder.input("x", (1,))
    line = builder.add("dense", [x], consts={"weight": Constant(np.array([[output]]))})
    bend = builder.add("relu", [builder.add("sum", [x], attrs={"coefficients": (1,)})])
    return builder.build({"y": builder.add("sum", [bend, line], attrs={"coefficients": (1, -1)})})


def never_below(bound: Fraction, strict: bool, upper: int = 1) -> Cell:
    return Cell(box((-1, upper)), ((constraint([], [(0, F(1))], bound, strict),),))


def test_a_tie_is_decided() -> None:
    """relu(x) - x < 0 is never so, and 0 is reached: no rounding is left over to prove it with."""
    graph, writer = bent(1.0), Writer()
    writer.safe([0])
    tie, reached = (problem(graph, never_below(F(0), strict, 2)) for strict in (True, False))
    assert not recheck(certificate(graph, tie, [writer.to_bytes()]), graph).failed
    assert check(certificate(graph, tie, [writer.to_bytes()]), graph).rejected
    assert recheck(certificate(graph, reached, [writer.to_bytes()]), graph).failed == [(0, 0)]


def phases(multipliers: tuple[float, float]) -> bytes:
    """Both phases of the one neuron, each closed by a mix with a multiplier."""
    writer = Writer()
    writer.phase(2, 0)
    for value in multipliers:
        writer.mix([255, nearest_multiplier(255 * value)])
    return writer.to_bytes()


def test_phases_and_their_multipliers() -> None:
    """relu(x) - x/2 = |x|/2 >= 0: on each side the slope is undone by a multiplier of 1/2."""
    graph = bent(0.5)
    position = next(i for i, node in enumerate(graph.nodes) if node.op == "relu")
    claim = problem(graph, never_below(F(-1, 100), False))

    def failed(multipliers: tuple[float, float]) -> list[tuple[int, int]]:
        data = phases(multipliers).replace(bytes([Rule.PHASE, 2]), bytes([Rule.PHASE, position]))
        return recheck(certificate(graph, claim, [data]), graph).failed

    assert failed((0.5, 0.5)) == []
    assert failed((0.0, 0.5)) == [(0, 0)]
    assert failed((0.5, 0.0)) == [(0, 1)]
    assert failed((0.5, 2.0)) == [(0, 1)]


def test_named_slopes() -> None:
    """relu(x) - x/4 >= -1/4 on [-1, 1] needs the lower slope 0; 1/4 gives 0, and 1 far less."""
    graph = bent(0.25)
    claim = problem(graph, never_below(F(-1, 100), False))

    def failed(slope: int) -> bool:
        writer = Writer()
        writer.step(Step(Rule.SLOPES, slopes=bytes([slope])))
        writer.safe([0])
        return bool(recheck(certificate(graph, claim, [writer.to_bytes()]), graph).failed)

    assert [failed(slope) for slope in (0, 64, 255)] == [True, False, True]


def test_slopes_for_all_bounds() -> None:
    """The same as named for the box: for its rows the slope 1/4 and no other will do."""
    graph = bent(0.25)
    claim = problem(graph, never_below(F(-1, 100), False))

    def failed(slope: int) -> bool:
        writer = Writer()
        writer.relax(bytes([slope]))
        writer.safe([0])
        proof = certificate(graph, claim, [writer.to_bytes()])
        found = bool(recheck(proof, graph).failed)
        assert found != check(proof, graph).accepted
        return found

    assert [failed(slope) for slope in (0, 64, 255)] == [True, False, True]


def two_layers() -> Graph:
    """y = relu(relu(x) - relu(-x) - 1/2) = relu(x - 1/2)."""
    builder = GraphBuilder()
    x = builder.input("x", (1,))
    both = builder.add("dense", [x], consts={"weight": Constant(np.array([[1.0, -1.0]]))})
    weight, bias = Constant(np.array([[1.0], [-1.0]])), Constant(np.array([-0.5]))
    found = builder.add("relu", [both])
    last = builder.add("dense", [found], consts={"weight": weight, "bias": bias})
    return builder.build({"y": builder.add("relu", [last])})


def test_slopes_for_all_bounds_count_within_the_network() -> None:
    """Beneath the line lambda (-x) of relu(-x) the second layer is at most x/2 + lambda x."""
    graph = two_layers()
    claim = problem(graph, Cell(box((-1, 1)), ((constraint([], [(0, F(-1))], F(-3, 4)),),)))

    def accepted(first: int) -> bool:
        writer = Writer()
        writer.relax(bytes([0, first, 255]))
        writer.safe([0])
        proof = certificate(graph, claim, [writer.to_bytes()])
        found = check(proof, graph).accepted
        assert found == (not recheck(proof, graph).failed)
        return found

    assert accepted(0)
    assert not accepted(255)


def test_executions_are_allowed_for() -> None:
    """Under the contract bounds are wider, and by no more than it says."""
    for seed in range(8):
        graph = random_graph(seed, activations=("relu", "abs"))
        lower, upper = [-1.0] * graph.input_size, [1.0] * graph.input_size
        plain, computed = (ExactBounds(graph, lower, upper, c) for c in (None, FLOAT32))
        rigorous = Bounds(graph, Boxes(graph, np.array([lower]), np.array([upper])), FLOAT32)
        for position, (low, _) in enumerate(computed.values):
            assert (low <= plain.values[position][0]).all()
            outer = rigorous.values[position][0][0].reshape(-1).tolist()
            for value, around in zip(low.reshape(-1), outer, strict=True):
                gap = abs(fraction(value) - Fraction(around))
                assert gap <= Fraction(1, 10**6) * (1 + abs(Fraction(around)))


def test_what_is_not_piecewise_linear_is_refused() -> None:
    kase = case(0, "sigmoid")
    with pytest.raises(CertificateError, match="rationals do not do sigmoid"):
        recheck(certificate(kase.graph, kase.safe, [b"\x04", b"\x04"]), kase.graph)
