"""The zonotope domain: affine forms forward through a graph, reduced with intervals, batched.

Ghorbal, Goubault and Putot 2009 (Taylor1+); Singh et al. 2018 (DeepZ). An affine node maps forms
exactly. A function of one variable becomes the narrowest band of two lines of one slope; a product
of two variables keeps its linear part, and squares of symbols lie in [0, 1] (Bonaert et al. 2021);
a normalisation is a factor with known bounds times a linear map. Any other node is cut: its form is
its interval. What a node adds that is not linear gets a symbol for each entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from absint.domains import interval
from absint.domains.arrays import Array, Arrays
from absint.domains.forms import Form, promote, union
from absint.domains.interval import Interval
from absint.domains.normalize import Chord
from absint.domains.product import Query
from absint.domains.relaxation import band
from absint.ir import OPS, Graph, Node
from absint.ir.joint import MatMul, Mul

LIMIT = 4096
"""The largest number of symbols in a form that a nonlinear node leaves (``forms.promote``)."""


class Zonotopes:
    """What a batch of boxes makes of a graph, in real arithmetic.

    ``bounds`` are of every node, (batch, *shape), each intersected with its interval and with what
    is ``known`` of nodes beforehand, say by backward bounds; ``forms`` are of the inputs and
    outputs. With more than ``limit`` symbols, bounds depend on the batch: all of it keeps the same.
    """

    def __init__(
        self,
        graph: Graph,
        box: Interval,
        arrays: Arrays,
        limit: int = LIMIT,
        known: Mapping[int, Interval] | None = None,
    ) -> None:
        self.graph, self.box, self.arrays, self.limit = graph, box, arrays, limit
        self.known = known or {}
        self.bounds: list[Interval] = []
        self.forms: dict[int, Form] = {}
        self._fresh = 0
        """The first symbol that nothing has used."""
        with np.errstate(all="ignore"):
            self._run()

    def _run(self) -> None:
        """Forms are dropped after their last reader."""
        ends = {port.node for port in (*self.graph.inputs, *self.graph.outputs)}
        last = {i: place for place, node in enumerate(self.graph.nodes) for i in node.inputs}
        for place, node in enumerate(self.graph.nodes):
            self._step(place, node)
            for done in {*node.inputs} - ends:
                if last[done] == place:
                    del self.forms[done]

    def minimum(self, query: Query) -> Array:
        """Lower bounds (batch, rows) of the query's rows."""
        inputs = [(port.node, self.graph.input_slices()[port.node]) for port in self.graph.inputs]
        parts = [
            _rows(self.forms[node], self.arrays.asarray(rows[:, place]), self.arrays)
            for rows, places in (
                (query.outputs, self.graph.output_slices()),
                (query.inputs, inputs),
            )
            for node, place in places
        ]
        total = _total(parts, self.arrays)
        return total.box(self.arrays)[0] - self.arrays.asarray(query.bound)

    def _step(self, place: int, node: Node) -> None:
        if node.op == "input":
            where = self.graph.input_slices()[place]
            low, high = (end[:, where].reshape((-1, *node.shape)) for end in self.box)
            self._named(place, Form.free((low, high), self.arrays), self.graph.input_size)
            self.bounds.append((low, high))
            return
        operands = [self.bounds[i] for i in node.inputs]
        found = interval.transform(node, operands, self.arrays)
        form = image(node, [self.forms[i] for i in node.inputs], operands, found, self.arrays)
        best = _meet(found, form.box(self.arrays), self.arrays)
        if place in self.known:
            best = _meet(best, self.known[place], self.arrays)
        self.bounds.append(best)
        if OPS[node.op].affine is not None:
            self.forms[place] = form
        else:
            self._named(place, form, self.limit)

    def _named(self, place: int, form: Form, limit: int) -> None:
        self.forms[place] = promote(form, self._fresh, limit, self.arrays)
        self._fresh = max([self._fresh, *(self.forms[place].symbols[-1:] + 1)])


def image(
    node: Node, forms: Sequence[Form], xs: Sequence[Interval], found: Interval, arrays: Arrays
) -> Form:
    """The form of one node from those of its operands (unsound in rounding).

    ``xs`` are bounds of the operands and ``found`` of the node, each (batch, *shape). Where less of
    an entry is linear than its interval says, the interval is its form.
    """
    op = OPS[node.op]
    if op.affine is not None:
        return _affine(node, forms, xs, arrays)
    cut = Form.free(found, arrays)
    if op.univariate is not None:
        form = _banded(node, forms[0], xs[0], arrays)
    elif isinstance(op.joint, Mul | MatMul):
        form = _product(node, forms, arrays)
    elif node.op == "normalize":
        form = _normalized(node, forms[0], xs[0], found, arrays)
    else:
        return cut
    keep = form.rest <= cut.rest
    return Form(
        arrays.xp.where(keep, form.centre, cut.centre),
        arrays.xp.where(keep[:, None], form.generators, 0.0),
        form.symbols,
        arrays.xp.where(keep, form.rest, cut.rest),
    )


def _affine(node: Node, forms: Sequence[Form], xs: Sequence[Interval], arrays: Arrays) -> Form:
    rule, xp, symbols = OPS[node.op].affine, arrays.xp, union(forms)
    assert rule is not None
    weight = arrays.load(node.consts["weight"].value) if "weight" in node.consts else None
    size = None if weight is None else xp.abs(weight)
    centre = rule.forward(node, [form.centre for form in forms], weight, xp)
    spread = [form.spread(symbols, arrays) for form in forms]
    shape = (centre.shape[0], len(symbols), *node.shape)
    moved = rule.forward(node, spread, weight, xp) if len(symbols) else xp.zeros_like(centre)
    rest = rule.magnitude(node, [form.rest for form in forms], size, xp)
    if "bias" in node.consts:
        centre = centre + arrays.load(node.consts["bias"].value)
    more = interval.deviation(node, xs, arrays)
    return Form(
        centre,
        moved if len(symbols) else moved[:, None][:, :0].reshape(shape),
        symbols,
        rest if more is None else rest + more,
    )


def _banded(node: Node, form: Form, x: Interval, arrays: Arrays) -> Form:
    lines = band(node, x, arrays)
    return Form(
        lines.slope * form.centre + lines.offset,
        lines.slope[:, None] * form.generators,
        form.symbols,
        arrays.xp.abs(lines.slope) * form.rest + lines.half_offset,
    )


def _product(node: Node, forms: Sequence[Form], arrays: Arrays) -> Form:
    """``x y`` about the centres; what is left are products of symbols.

    ``g e`` times ``h e`` is ``sum_s g_s h_s e_s^2``, half of which is known as each square lies in
    [0, 1], and at most ``sum_s |g_s| sum_t |h_t|`` for s other than t.
    """
    xp, rank, symbols = arrays.xp, len(node.shape), union(forms)
    times = xp.matmul if isinstance(OPS[node.op].joint, MatMul) else xp.multiply
    (m, n), (r, s) = (
        [_wide(end, rank, 1) for end in ends]
        for ends in ([f.centre for f in forms], [f.rest for f in forms])
    )
    g, h = (_wide(form.spread(symbols, arrays), rank, 2) for form in forms)
    reach, span = xp.sum(xp.abs(g), axis=1) + r, xp.sum(xp.abs(h), axis=1) + s
    generators = times(m[:, None], h) + times(g, n[:, None])
    squares = xp.sum(times(xp.abs(g), xp.abs(h)), axis=1) / 2
    rest = times(xp.abs(m), s) + times(r, xp.abs(n)) + times(reach, span) - squares
    return Form(times(m, n) + xp.sum(times(g, h), axis=1) / 2, generators, symbols, rest)


def _normalized(node: Node, form: Form, x: Interval, found: Interval, arrays: Arrays) -> Form:
    """The factor's middle times what is scaled, and half its width times the most that can be."""
    xp, count = arrays.xp, node.integer("axes")
    axes, shape = tuple(range(-count, 0)), node.shape[: len(node.shape) - count]
    if node.integer("centered"):
        entries = int(np.prod(node.shape[len(shape) :]))
        mean = xp.mean(form.rest, axis=axes, keepdims=True)
        form = Form(
            form.centre - xp.mean(form.centre, axis=axes, keepdims=True),
            form.generators - xp.mean(form.generators, axis=axes, keepdims=True),
            form.symbols,
            (1 - 2 / entries) * form.rest + mean,
        )
    least, most = (
        end.reshape((-1, *shape, *(1,) * count)) for end in Chord.of(node, x, found, arrays).factor
    )
    middle, half = (least + most) / 2, (most - least) / 2
    low, high = form.box(arrays)
    return Form(
        middle * form.centre,
        middle[:, None] * form.generators,
        form.symbols,
        middle * form.rest + half * xp.maximum(xp.abs(low), xp.abs(high)),
    )


def _wide(x: Array, rank: int, lead: int) -> Array:
    """(*lead, *shape) with ones before the shape, so that it has ``rank`` axes."""
    return x.reshape((*x.shape[:lead], *(1,) * (rank + lead - x.ndim), *x.shape[lead:]))


def _rows(form: Form, rows: Array, arrays: Arrays) -> Form:
    """The combinations ``rows`` (count, size) of a form's entries."""
    flat = form.centre.reshape((form.centre.shape[0], -1))
    generators = form.generators.reshape((*form.generators.shape[:2], flat.shape[1]))
    rest = form.rest.reshape(flat.shape) @ arrays.xp.abs(rows).T
    return Form(flat @ rows.T, generators @ rows.T, form.symbols, rest)


def _total(forms: Sequence[Form], arrays: Arrays) -> Form:
    symbols = union(forms)
    generators = [form.spread(symbols, arrays) for form in forms]
    return Form(
        sum(form.centre for form in forms),
        sum(generators[1:], generators[0]),
        symbols,
        sum(form.rest for form in forms),
    )


def _meet(first: Interval, second: Interval, arrays: Arrays) -> Interval:
    """The intersection; ends of the second that are NaN say nothing."""
    (a, b), (c, d) = first, second
    return arrays.xp.where(c > a, c, a), arrays.xp.where(d < b, d, b)
