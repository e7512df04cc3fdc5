"""Affine ops: each is one matrix, forwards, backwards, in magnitude, and as PyTorch computes it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from irmodels import (
    AFFINE,
    CONVOLUTIONS,
    PIECEWISE,
    Array,
    Case,
    exact_outputs,
    matrix,
    random_graph,
    whole,
)

from absint.domains.arrays import torch_arrays
from absint.ir import OPS, Node, evaluate
from absint.ir.affine import AffineRule

EVERY = pytest.mark.parametrize("case", AFFINE, ids=lambda case: case.name)


def rule_of(node: Node) -> AffineRule:
    rule = OPS[node.op].affine
    assert rule is not None
    return rule


def weight_of(node: Node) -> Array | None:
    return node.consts["weight"].value if "weight" in node.consts else None


def operands(node: Node, *lead: int) -> list[Array]:
    return [whole(20 + i, *lead, *shape) for i, shape in enumerate(node.in_shapes)]


def flat(parts: list[Array], lead: int) -> Array:
    return np.concatenate([p.reshape((*p.shape[:lead], -1)) for p in parts], axis=-1)


@EVERY
def test_forward_is_linear_and_keeps_leading_axes(case: Case) -> None:
    node, w = case.node(), matrix(case.node())
    for lead in ((), (1,), (5,), (2, 3)):
        xs = operands(node, *lead)
        y = rule_of(node).forward(node, xs, weight_of(node), np)
        assert y.shape == (*lead, *node.shape)
        assert np.array_equal(flat([y], len(lead)), flat(xs, len(lead)) @ w.T)


@EVERY
def test_backward_is_the_adjoint_of_forward(case: Case) -> None:
    node, w = case.node(), matrix(case.node())
    for lead in ((), (1,), (4,), (2, 3)):
        c = whole(30, *lead, *node.shape)
        parts = rule_of(node).backward(node, c, weight_of(node), np)
        assert [p.shape for p in parts] == [(*lead, *shape) for shape in node.in_shapes]
        assert np.array_equal(flat(list(parts), len(lead)), flat([c], len(lead)) @ w)


@EVERY
def test_backward_of_one_entry_is_its_row(case: Case) -> None:
    """Each alone, and beside zeros: convolutions work only where coefficients are not zero."""
    node, w = case.node(), matrix(case.node())
    units = np.eye(node.size).reshape((node.size, *node.shape))
    for index, unit in enumerate(units):
        for c, rows in ((unit[None], w[[index]]), (np.stack([0 * unit, unit]), w[[index, index]])):
            parts = rule_of(node).backward(node, c, weight_of(node), np)
            expected = rows if len(c) == 1 else np.stack([0 * rows[0], rows[1]])
            assert np.array_equal(flat(list(parts), 1), expected)
    none = rule_of(node).backward(node, 0 * units[:1], weight_of(node), np)
    assert not flat(list(none), 1).any()


@EVERY
def test_inner_products_agree_exactly(case: Case) -> None:
    node = case.node()
    xs, c = operands(node), whole(31, *node.shape)
    y = rule_of(node).forward(node, xs, weight_of(node), np)
    parts = rule_of(node).backward(node, c, weight_of(node), np)
    assert (y * c).sum() == sum((x * p).sum() for x, p in zip(xs, parts, strict=True))


@EVERY
def test_magnitude_is_the_matrix_of_absolute_values(case: Case) -> None:
    node, w = case.node(), np.abs(matrix(case.node()))
    xs, weight = operands(node, 2), weight_of(node)
    size = None if weight is None else np.abs(weight)
    y = rule_of(node).magnitude(node, xs, size, np)
    assert np.array_equal(flat([y], 1), flat(xs, 1) @ w.T)


@EVERY
def test_fans_bound_the_products_of_a_sum(case: Case) -> None:
    node, used = case.node(), matrix(case.node()) != 0
    assert rule_of(node).fan_in(node) >= used.sum(axis=1).max()
    per_operand = np.split(used, np.cumsum([np.prod(s, dtype=int) for s in node.in_shapes]), axis=1)
    assert rule_of(node).fan_out(node) >= max(
        part.sum(axis=0).max() for part in per_operand if part.size
    )


def test_fans_of_dense_and_unpadded_convolution_are_exact() -> None:
    dense, conv = AFFINE[0].node(), CONVOLUTIONS[0].node()
    assert (rule_of(dense).fan_in(dense), rule_of(dense).fan_out(dense)) == (4, 3)
    assert (rule_of(conv).fan_in(conv), rule_of(conv).fan_out(conv)) == (2 * 3, 3 * 3)


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_and_torch_compute_the_same(case: Case, dtype: str) -> None:
    node, arrays, rule = case.node(), torch_arrays(dtype=dtype), rule_of(case.node())
    weight, loaded = weight_of(node), None
    if weight is not None:
        loaded = arrays.load(weight)
    xs, c = operands(node, 3), whole(30, 3, *node.shape)
    y = rule.forward(node, [arrays.asarray(x) for x in xs], loaded, arrays.xp)
    assert str(y.dtype) == f"torch.{dtype}"
    assert np.array_equal(arrays.numpy(y), rule.forward(node, xs, weight, np))
    parts = rule.backward(node, arrays.asarray(c), loaded, arrays.xp)
    for part, expected in zip(parts, rule.backward(node, c, weight, np), strict=True):
        assert np.array_equal(arrays.numpy(part), expected)


@EVERY
def test_a_graph_evaluates_to_the_matrix_and_the_bias(case: Case) -> None:
    graph, node = case.graph(), case.node()
    x = flat(operands(node, 4), 1)
    bias = np.zeros(node.shape)
    if "bias" in node.consts:
        bias = np.broadcast_to(node.consts["bias"].value, node.shape)
    assert np.array_equal(evaluate(graph, x), x @ matrix(node).T + bias.reshape(-1))


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=lambda case: case.name)
def test_convolution_is_what_pytorch_computes(case: Case) -> None:
    torch: Any = pytest.importorskip("torch")
    node, x = case.node(), whole(40, *case.in_shapes[0])
    rank = x.ndim - 2
    pads = node.integers("pads")
    around = [n for i in reversed(range(rank)) for n in (pads[i], pads[rank + i])]
    padded = torch.nn.functional.pad(torch.tensor(x), around)
    run = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)
    expected = run[rank - 1](
        padded,
        torch.tensor(case.consts["weight"]),
        torch.tensor(case.consts["bias"].reshape(-1)),
        node.integers("strides"),
        0,
        node.integers("dilations"),
        node.integer("groups"),
    ).numpy()
    assert node.shape == expected.shape
    assert np.array_equal(evaluate(case.graph(), x.reshape(1, -1)), expected.reshape(1, -1))


def test_dense_is_what_numpy_computes() -> None:
    case = next(c for c in AFFINE if c.name == "dense-many-rows")
    x = whole(41, 2, 3, 4)
    expected = np.einsum("abi,io->abo", x, case.consts["weight"])
    assert np.array_equal(evaluate(case.graph(), x.reshape(1, -1)), expected.reshape(1, -1))


def test_gather_reads_zero_where_the_index_is_negative() -> None:
    case = next(c for c in AFFINE if c.name == "gather-pads")
    assert evaluate(case.graph(), np.array([[5.0, 6.0, 7.0, 8.0]])).tolist() == [[0, 7, 0, 5]]


def test_concat_and_sum_are_what_numpy_computes() -> None:
    joined = next(c for c in AFFINE if c.name == "concat-first-axis")
    xs = operands(joined.node())
    expected = np.concatenate(xs, axis=0).reshape(1, -1)
    assert np.array_equal(evaluate(joined.graph(), flat(xs, 0)[None]), expected)
    added = next(c for c in AFFINE if c.name == "sum")
    a, b, c = operands(added.node())
    assert np.array_equal(
        evaluate(added.graph(), flat([a, b, c], 0)[None]), (a - b - c).reshape(1, -1)
    )


@pytest.mark.parametrize("seed", range(10))
def test_random_networks_evaluate_to_their_exact_values(seed: int) -> None:
    """Small integer weights and inputs, slopes of few bits: every sum is exact in float64."""
    graph = random_graph(seed, activations=PIECEWISE, integral=True)
    x = np.random.default_rng(seed).integers(-4, 5, (5, graph.input_size)).astype(np.float64)
    for point, y in zip(x, evaluate(graph, x), strict=True):
        assert [Fraction(float(v)) for v in y] == exact_outputs(
            graph, [Fraction(float(v)) for v in point]
        )
