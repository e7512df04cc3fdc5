"""Every op of the table in every domain: bounds contain the values at corners, knots and samples.

Each op is bounded alone, and behind a mixing of its operands' entries, where linear bounds and
affine forms have something to lose. The values are the op's concrete semantics in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from boxes import Boxes, FloatArray
from elementwise import CASES
from irmodels import AFFINE, Case
from jointmodels import JOINT

from absint.domains import interval
from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.domains.product import Query, analyse
from absint.domains.zonotope import Zonotopes
from absint.ir import OPS, Constant, Curved, Graph, GraphBuilder, PiecewiseLinear
from absint.ir.evaluate import outputs, run
from absint.proofs.bounds import Bounds
from absint.proofs.regions import Boxes as CheckedBoxes
from absint.proofs.regions import Rows

Ends = tuple[FloatArray, FloatArray]
"""Lower and upper bounds of the flat outputs, each (batch, output_size)."""
BOXES, POINTS, MANY = 8, 40, 1250
VARIANTS = {
    **{case.name: case for case in (*AFFINE, *JOINT)},
    **{name: replace(case, in_shapes=((2, 2),)) for name, case in CASES.items()},
}
EVERY = pytest.mark.parametrize("name", VARIANTS)
POSITIVE = ("log", "sqrt", "reciprocal")


def test_every_op_has_variants_and_every_attribute_has_values() -> None:
    """A new row of the table, or a new attribute, needs cases here."""
    assert {case.op for case in VARIANTS.values()} == OPS.keys() - {"input"}
    for name, op in OPS.items():
        cases = [case for case in VARIANTS.values() if case.op == name]
        for attribute in op.attributes:
            assert len({str(case.attrs[attribute]) for case in cases}) > 1, (name, attribute)
        for constant in op.optional:
            assert {constant in case.consts for case in cases} == {True, False}, (name, constant)


def alone(case: Case) -> Graph:
    return case.graph()


def mixed(case: Case) -> Graph:
    """The op of ``3/4 x + 1/4 x'`` for each operand x, where x' has its entries in reverse."""
    builder, operands = GraphBuilder(), []
    inputs = [builder.input(f"x{i}", shape) for i, shape in enumerate(case.in_shapes)]
    for x, shape in zip(inputs, case.in_shapes, strict=True):
        size = int(np.prod(shape, dtype=np.int64))
        index = Constant(np.arange(size)[::-1].reshape(shape))
        turned = builder.add("gather", [x], consts={"index": index})
        parts = [
            builder.add("scale", [part], consts={"weight": Constant(np.array(share))})
            for part, share in ((x, 0.75), (turned, 0.25))
        ]
        operands.append(builder.add("sum", parts, attrs={"coefficients": (1, 1)}))
    consts = {name: Constant(value) for name, value in case.consts.items()}
    return builder.build({"y": builder.add(case.op, operands, attrs=case.attrs, consts=consts)})


def boxes(case: Case, size: int, rng: np.random.Generator) -> Boxes:
    """Points, narrow and wide boxes, in the op's domain; token ids within the table."""
    middle = rng.normal(0, 2, (BOXES, size))
    width = 10.0 ** rng.choice([-9, -2, 0, 0.7], (BOXES, 1)) * rng.random((BOXES, size))
    width[0] = 0.0
    lower, upper = middle - width, middle + width
    if case.op == "embedding":
        count = case.consts["weight"].shape[0]
        lower, upper = (np.clip(np.round(end), 0, count - 1) for end in (lower, upper))
    if case.op in POSITIVE:
        lower, upper = np.abs(middle) + 0.1, np.abs(middle) + 0.1 + width
    if case.op == "reciprocal":
        lower[::2], upper[::2] = -upper[::2], -lower[::2]
    return Boxes(lower, upper)


def knots(case: Case) -> FloatArray:
    """Where the op's function has a knot, a bend or an extremum; else 0."""
    op = OPS[case.op]
    facts = op.univariate.facts(case.node()) if op.univariate is not None else None
    if isinstance(facts, PiecewiseLinear):
        return np.array(facts.knots)
    return np.array([*facts.bends, *facts.extrema, 0.0] if isinstance(facts, Curved) else [0.0])


def samples(case: Case, within: Boxes, count: int, rng: np.random.Generator) -> FloatArray:
    """(boxes, count, size): both extreme corners, corners, knots where they lie inside, points."""
    lower, upper = within.lower[:, None], within.upper[:, None]
    share = rng.random((BOXES, count, lower.shape[2]))
    share[:, : count // 3] = np.round(share[:, : count // 3])
    share[:, 0], share[:, 1] = 0.0, 1.0
    x = lower + share * (upper - lower)
    bent = rng.random(x.shape) < 0.5
    bent[:, : 2 * count // 3] = False
    x = np.clip(np.where(bent, rng.choice(knots(case), x.shape), x), lower, upper)
    if case.op == "embedding":
        x = np.clip(np.round(x), lower, upper)
    return np.where(rng.random(x.shape) < 1e-3, -0.0 * (x == 0) + x, x)


def both(count: int) -> FloatArray:
    """Each of ``count`` outputs, and its negative."""
    return np.concatenate([np.eye(count), -np.eye(count)])


def by_intervals(graph: Graph, within: Boxes) -> Ends:
    arrays, places, found = numpy_arrays(), graph.input_slices(), list[interval.Interval]()
    for place, node in enumerate(graph.nodes):
        if node.op == "input":
            low, high = (end[:, places[place]] for end in (within.lower, within.upper))
            found.append((low.reshape((-1, *node.shape)), high.reshape((-1, *node.shape))))
        else:
            found.append(interval.transform(node, [found[i] for i in node.inputs], arrays))
    low, high = (outputs(graph, [ends[side] for ends in found]) for side in (0, 1))
    return low, high


def query(graph: Graph) -> Query:
    rows = both(graph.output_size)
    return Query(np.zeros((len(rows), graph.input_size)), rows, np.zeros(len(rows)))


def by_lines(graph: Graph, within: Boxes) -> Ends:
    arrays = numpy_arrays()
    box = arrays.asarray(within.lower), arrays.asarray(within.upper)
    found = analyse(graph, box, query(graph), arrays)
    spread = np.abs(found.coefficients) @ ((within.upper - within.lower) / 2)[..., None]
    low, high = np.split(found.centre - spread[..., 0], 2, axis=1)
    return low, -high


def by_forms(arrays: Arrays, limit: int) -> Callable[[Graph, Boxes], Ends]:
    """The tighter of the forms' bounds and what the reduced product knows of the outputs."""

    def bound(graph: Graph, within: Boxes) -> Ends:
        box = arrays.asarray(within.lower), arrays.asarray(within.upper)
        found = Zonotopes(graph, box, arrays, limit)
        least, most = np.split(arrays.numpy(found.minimum(query(graph))), 2, axis=1)
        ends = [
            np.concatenate(
                [
                    arrays.numpy(found.bounds[p.node][side]).reshape((BOXES, -1))
                    for p in graph.outputs
                ],
                axis=1,
            )
            for side in (0, 1)
        ]
        return np.fmax(least, ends[0]), np.fmin(-most, ends[1])

    return bound


def by_checker(graph: Graph, within: Boxes) -> Ends:
    rows, zero = both(graph.output_size)[None], np.zeros((1, 2 * graph.output_size))
    none = np.zeros((*zero.shape, 0))
    bounds = Bounds(graph, CheckedBoxes(graph, within.lower, within.upper))
    least = bounds.minimum(Rows(none, none, rows, np.zeros_like(rows), zero))
    low, high = np.split(least, 2, axis=1)
    return low, -high


DOMAINS: dict[str, tuple[Callable[[Graph, Boxes], Ends], float]] = {
    "interval": (by_intervals, 1e-10),
    "linear": (by_lines, 1e-10),
    "zonotope": (by_forms(numpy_arrays(), 4096), 1e-10),
    "zonotope-torch": (by_forms(torch_arrays(), 4096), 1e-10),
    "zonotope-of-3-symbols": (by_forms(numpy_arrays(), 3), 1e-10),
    "checker": (by_checker, 1e-14),
}
"""Each domain's bounds of the outputs, and what rounding may cost: for the checker only that of the
concrete run itself, in shares of the largest value (and its operands)."""


def contained(name: str, domain: str, count: int) -> None:
    case = VARIANTS[name]
    bound, room = DOMAINS[domain]
    for graph in (
        [alone(case)] if case.op in ("embedding", "argmax") else [alone(case), mixed(case)]
    ):
        rng = np.random.default_rng(len(name))
        within = boxes(case, graph.input_size, rng)
        x = samples(case, within, count, rng)
        with np.errstate(all="ignore"):
            low, high = bound(graph, within)
            values = run(graph, x.reshape((-1, graph.input_size)))
        y = outputs(graph, values).reshape((*x.shape[:2], -1))
        assert np.isfinite(y).all()
        largest = max(np.abs(value).max() for value in values)
        assert not (y < low[:, None] - room * (1 + largest)).any()
        assert not (y > high[:, None] + room * (1 + largest)).any()
        assert np.isfinite(low).all(), "nothing is known: no value could contradict it"
        assert np.isfinite(high).all(), "nothing is known: no value could contradict it"


@EVERY
@pytest.mark.parametrize("domain", sorted(DOMAINS.keys() - {"zonotope-torch"}))
def test_values_lie_within_the_bounds(name: str, domain: str) -> None:
    contained(name, domain, POINTS)


@pytest.mark.full
@EVERY
@pytest.mark.parametrize("domain", DOMAINS)
def test_ten_thousand_values_lie_within_the_bounds(name: str, domain: str) -> None:
    contained(name, domain, MANY)
