"""Hypothesis strategies that tests share: graphs of every op, boxes with awkward ends, problems.

Structure is drawn by Hypothesis, so that failures shrink; arrays come from a drawn seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from absint.ir import OPS, Constant, Graph, GraphBuilder
from absint.ir.smooth import ROWS
from absint.problem import Box, Cell, Problem, Semantics, constraint

FloatArray = NDArray[np.float64]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Shape = tuple[int, ...]

PIECEWISE_OPS = frozenset(name for name, op in OPS.items() if op.affine is not None) | {
    *("relu", "leaky_relu", "abs", "clip")
}
ALL_OPS = PIECEWISE_OPS | frozenset(name for name, op in OPS.items() if op.univariate is not None)
STABLE_OPS = PIECEWISE_OPS | {"sigmoid", "tanh"}
"""Whose bounds move little where their operand's do."""

SUBNORMAL = 2.0**-1060


def weights(rng: np.random.Generator, shape: Shape, kind: str) -> FloatArray:
    """Constants of one of the kinds in ``WEIGHT_KINDS``."""
    if kind == "integer":
        return rng.integers(-2, 3, shape).astype(np.float64)
    if kind == "dyadic":
        return rng.integers(-64, 65, shape) / 16.0
    values = rng.normal(size=shape).astype(np.float32).astype(np.float64)
    if kind == "mixed":  # magnitudes apart, zeros, numbers that underflow in products
        scale = rng.choice([1e-38, 1e-6, 1.0, 1e6, 1e30, 0.0, 1e-310], size=shape)
        values = values * scale
    return values


WEIGHT_KINDS = ("integer", "dyadic", "float32", "mixed")


@dataclass
class _Sketch:
    """A graph that is being drawn: the builder, and where its numbers come from."""

    draw: Draw
    builder: GraphBuilder
    rng: np.random.Generator
    kind: str
    radii: bool

    def constant(self, shape: Shape) -> Constant:
        value = weights(self.rng, shape, self.kind)
        if self.radii and self.draw(st.booleans()):
            return Constant(value, np.abs(value) * 2.0**-10 + self.rng.integers(0, 2, shape) / 64)
        return Constant(value)

    def bias(self, shapes: Sequence[Shape]) -> dict[str, Constant]:
        shape = self.draw(st.sampled_from([None, *shapes]))
        return {} if shape is None else {"bias": self.constant(shape)}

    def node(self) -> int:
        """Any node so far, the newest most often."""
        last = len(self.builder.nodes) - 1
        back: int = self.draw(st.sampled_from([0, 0, 0, 1, 2, 3]))
        return last - min(last, back)

    def shape(self, node: int) -> Shape:
        return self.builder.shape(node)

    def reshaped(self, node: int, shape: Shape) -> int:
        if self.shape(node) == shape:
            return node
        return self.builder.add("reshape", [node], attrs={"shape": shape})

    def peers(self, node: int) -> list[int]:
        """Nodes of the same shape, which a sum or a concatenation can take."""
        shape = self.shape(node)
        return [i for i in range(len(self.builder.nodes)) if self.shape(i) == shape]


def _dense(s: _Sketch) -> int:
    x = s.node()
    x = x if s.shape(x) else s.reshaped(x, (1,))
    size = s.draw(st.integers(1, 4))
    consts = {"weight": s.constant((s.shape(x)[-1], size))}
    return s.builder.add("dense", [x], consts={**consts, **s.bias([(size,), (), (1,)])})


def _conv(s: _Sketch) -> int:
    x = s.node()
    size = s.builder.nodes[x].size
    channels = s.draw(st.sampled_from([d for d in (1, 2) if size % d == 0]))
    rows = s.draw(st.sampled_from([None, *(d for d in (1, 2) if size // channels % d == 0)]))
    space = (size // channels,) if rows is None else (rows, size // channels // rows)
    x, rank = s.reshaped(x, (1, channels, *space)), len(space)
    pads = tuple(s.draw(st.integers(0, 1)) for _ in range(2 * rank))
    padded = [n + pads[i] + pads[rank + i] for i, n in enumerate(space)]
    kernel = tuple(s.draw(st.integers(1, min(3, n))) for n in padded)
    dilations = tuple(
        s.draw(st.integers(1, 2)) if 2 * (k - 1) < n else 1
        for k, n in zip(kernel, padded, strict=True)
    )
    groups = s.draw(st.sampled_from(sorted({1, channels})))
    out = groups * s.draw(st.integers(1, 2))
    attrs = {
        "strides": tuple(s.draw(st.integers(1, 2)) for _ in range(rank)),
        "dilations": dilations,
        "pads": pads,
        "groups": groups,
    }
    consts = {"weight": s.constant((out, channels // groups, *kernel))}
    bias = s.bias([(1, out, *(1,) * rank), ()])
    return s.builder.add("conv", [x], attrs=attrs, consts={**consts, **bias})


def _scale(s: _Sketch) -> int:
    x = s.node()
    shapes = [s.shape(x), (), s.shape(x)[-1:]]
    weight = s.draw(st.sampled_from([None, *shapes]))
    consts = {} if weight is None else {"weight": s.constant(weight)}
    return s.builder.add("scale", [x], consts={**consts, **s.bias(shapes)})


def _reshape(s: _Sketch) -> int:
    x = s.node()
    size = s.builder.nodes[x].size
    shapes = [(size,), (1, size), (size, 1), *([(2, size // 2)] if size % 2 == 0 else [])]
    return s.builder.add("reshape", [x], attrs={"shape": s.draw(st.sampled_from(shapes))})


def _gather(s: _Sketch) -> int:
    x = s.node()
    shape = s.draw(st.sampled_from([(1,), (3,), (2, 2), (5,)]))
    index = np.asarray(s.rng.integers(-1, s.builder.nodes[x].size, shape))
    return s.builder.add("gather", [x], consts={"index": Constant(index), **s.bias([shape, ()])})


def _sum(s: _Sketch) -> int:
    x = s.node()
    others = s.draw(st.lists(st.sampled_from(s.peers(x)), max_size=2))
    signs = tuple(s.draw(st.sampled_from([1, -1])) for _ in range(1 + len(others)))
    return s.builder.add("sum", [x, *others], attrs={"coefficients": signs})


def _concat(s: _Sketch) -> int:
    x = s.node()
    x = x if s.shape(x) else s.reshaped(x, (1,))
    others = s.draw(st.lists(st.sampled_from(s.peers(x)), max_size=1))
    axis = s.draw(st.integers(0, len(s.shape(x)) - 1))
    return s.builder.add("concat", [x, *others], attrs={"axis": axis})


def _leaky_relu(s: _Sketch) -> int:
    alpha = s.draw(st.sampled_from([0.01, 0.25, -0.5, 2.0, 0.0, 1.0]))
    return s.builder.add("leaky_relu", [s.node()], attrs={"alpha": alpha})


def _clip(s: _Sketch) -> int:
    ends = s.draw(st.sampled_from([(0.0, 6.0), (-1.0, 1.0), (0.1, 0.3), (-3.0, -0.5)]))
    free = s.draw(st.sampled_from(["", "", "lower", "upper"]))
    attrs = {"lower": ends[0], "upper": ends[1]}
    if free:
        attrs[free] = -math.inf if free == "lower" else math.inf
    return s.builder.add("clip", [s.node()], attrs=attrs)


def _elu(s: _Sketch) -> int:
    alpha = s.draw(st.sampled_from([1.0, 0.25, 1.7, -0.5, 0.0]))
    return s.builder.add("elu", [s.node()], attrs={"alpha": alpha})


def _power(s: _Sketch) -> int:
    return s.builder.add("power", [s.node()], attrs={"exponent": s.draw(st.integers(2, 5))})


def _plain(op: str) -> Callable[[_Sketch], int]:
    return lambda s: s.builder.add(op, [s.node()])


BUILDERS: dict[str, Callable[[_Sketch], int]] = {
    "dense": _dense,
    "conv": _conv,
    "scale": _scale,
    "reshape": _reshape,
    "gather": _gather,
    "sum": _sum,
    "concat": _concat,
    "leaky_relu": _leaky_relu,
    "clip": _clip,
    "elu": _elu,
    "power": _power,
    **{op: _plain(op) for op in ("relu", "abs", *(set(ROWS) - {"elu", "power"}))},
}
"""How to draw one node of each op of the table; a test holds the two against each other."""


@st.composite
def graphs(
    draw: Draw,
    ops: frozenset[str] = PIECEWISE_OPS,
    kinds: Sequence[str] = WEIGHT_KINDS,
    radii: bool = True,
    depth: int = 7,
    dtype: str = "float64",
) -> Graph:
    """Graphs of at most ``depth`` drawn nodes, with one to three inputs and outputs."""
    builder = GraphBuilder()
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sketch = _Sketch(draw, builder, rng, draw(st.sampled_from(kinds)), radii)
    for index in range(draw(st.integers(1, 3))):
        builder.input(f"x{index}", draw(st.sampled_from([(1,), (2,), (1, 3), (2, 2)])), dtype)
    names = sorted(ops)
    for op in draw(st.lists(st.sampled_from(names), min_size=1, max_size=depth)):
        BUILDERS[op](sketch)
    last = len(builder.nodes) - 1
    others = draw(st.lists(st.integers(0, last), max_size=2))
    return builder.build({f"y{i}": node for i, node in enumerate([last, *others])}, dtype)


_ENDS = (0.0, -0.0, 1.0, -1.0, 0.1, -0.3, 5e-324, -5e-324, SUBNORMAL, -SUBNORMAL, 2.0**-126, 1e-30)
_FAR = (3.4e38, -3.4e38, 1e30, -1e20, 1e15 + 0.125, 12345.678)


@st.composite
def intervals(draw: Draw, far: bool = True) -> tuple[float, float]:
    """(lower, upper): points, signed zeros, subnormals, huge ends, and ordinary intervals."""
    ordinary = st.floats(-8.0, 8.0, allow_subnormal=True)
    end = st.one_of(ordinary, st.sampled_from(_ENDS), st.sampled_from(_FAR if far else _ENDS))
    first = draw(end)
    second = draw(st.one_of(st.just(first), end, ordinary))
    return (first, second) if first <= second else (second, first)


@st.composite
def boxes(draw: Draw, size: int, far: bool = True) -> tuple[FloatArray, FloatArray]:
    """(lower, upper), each (size,) float64."""
    ends = [draw(intervals(far)) for _ in range(size)]
    return np.array([e[0] for e in ends]), np.array([e[1] for e in ends])


@st.composite
def cases(
    draw: Draw, graph: st.SearchStrategy[Graph] | None = None, far: bool = True
) -> tuple[Graph, FloatArray, FloatArray]:
    """A graph with a box of its flat input."""
    drawn = draw(graphs() if graph is None else graph)
    lower, upper = draw(boxes(drawn.input_size, far))
    return drawn, lower, upper


def fractions(largest: int = 8) -> st.SearchStrategy[Fraction]:
    """Numbers as people write them, most of which no binary float is equal to."""
    return st.fractions(-largest, largest, max_denominator=1000)


@st.composite
def problems(draw: Draw, graph: Graph, largest: int = 8) -> Problem:
    """Random problems about a graph: cells, constraints of regions, mixed catastrophes."""

    def row(outputs: bool) -> Any:
        def terms(size: int) -> list[tuple[int, Fraction]]:
            chosen = draw(st.lists(st.integers(0, size - 1), max_size=2, unique=True))
            return [(i, draw(fractions(3))) for i in chosen]

        after = terms(graph.output_size) if outputs else []
        before = terms(graph.input_size) if not outputs or draw(st.booleans()) else []
        return constraint(before, after, draw(fractions(largest)), draw(st.booleans()))

    cells = []
    for _ in range(draw(st.integers(1, 2))):
        ends = [sorted((draw(fractions()), draw(fractions()))) for _ in range(graph.input_size)]
        catastrophe = tuple(
            tuple(row(True) for _ in range(draw(st.integers(1, 2))))
            for _ in range(draw(st.integers(1, 2)))
        )
        region = tuple(row(False) for _ in range(draw(st.integers(0, 1))))
        box = Box(tuple(e[0] for e in ends), tuple(e[1] for e in ends))
        cells.append(Cell(box, catastrophe, region))
    semantics = Semantics(dtype=graph.inputs[0].dtype)  # type: ignore[arg-type]
    return Problem("drawn", graph.input_size, graph.output_size, tuple(cells), semantics)
