"""Ops that mix values: what PyTorch and exact arithmetic compute, and gradients."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import exact
import numpy as np
import pytest
from irmodels import Array, Case, whole
from jointmodels import JOINT, MASK, operands

from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.domains.product import Query
from absint.ir import OPS, Graph, GraphBuilder, Node, evaluate
from absint.ir.joint import JointRule
from absint.search.gradient import row_gradient, row_values

EVERY = pytest.mark.parametrize("case", JOINT, ids=lambda case: case.name)
CASES = {case.name: case for case in JOINT}


def rule_of(node: Node) -> JointRule:
    rule = OPS[node.op].joint
    assert rule is not None
    return rule


def value(case: Case, xs: list[Array], arrays: Arrays) -> Array:
    node = case.node()
    weight = arrays.load(case.consts["weight"]) if "weight" in case.consts else None
    y = rule_of(node).value(node, [arrays.asarray(x) for x in xs], weight, arrays.xp)
    assert tuple(y.shape) == (len(xs[0]), *node.shape)
    assert y.dtype == arrays.dtype
    return arrays.numpy(y)


def gradients(case: Case, xs: list[Array], c: Array, arrays: Arrays) -> list[Array]:
    node = case.node()
    weight = arrays.load(case.consts["weight"]) if "weight" in case.consts else None
    parts = rule_of(node).vjp(
        node, [arrays.asarray(x) for x in xs], arrays.asarray(c), weight, arrays.xp
    )
    assert [tuple(p.shape) for p in parts] == [x.shape for x in xs]
    assert all(p.dtype == arrays.dtype for p in parts)
    return [arrays.numpy(p) for p in parts]


def torch_value(case: Case, xs: list[Any]) -> Any:
    """The same by PyTorch's own functions, one batch entry after the other."""
    torch: Any = pytest.importorskip("torch")
    functional = torch.nn.functional
    if case.op == "embedding":
        return torch.tensor(case.consts["weight"])[xs[0].long()]
    if case.op in ("mul", "matmul"):
        run = torch.mul if case.op == "mul" else torch.matmul
        return torch.stack([run(*pair) for pair in zip(*xs, strict=True)])
    if case.op == "softmax":
        x = xs[0]
        if "mask" in case.consts:
            x = x.masked_fill(torch.tensor(case.consts["mask"] == 0), float("-inf"))
        return torch.softmax(x, -1)
    if case.op == "normalize":
        axes, epsilon = case.attrs["axes"], case.attrs["epsilon"]
        norm = functional.layer_norm if case.attrs["centered"] else functional.rms_norm
        shape = xs[0].shape[xs[0].ndim - axes :]  # type: ignore[operator]
        return norm(xs[0], shape, eps=epsilon)
    if case.op == "argmax":
        return xs[0].argmax(-1).to(xs[0].dtype)
    heads, shared = case.attrs["heads"], case.attrs["kv_heads"]
    count, batch = (len(xs) - 1) // 2, xs[0].shape[0]
    q = xs[0].reshape(batch, heads, 1, -1)
    k = torch.stack(xs[1 : 1 + count], 1).reshape(batch, count, shared, -1).transpose(1, 2)
    v = torch.stack(xs[1 + count :], 1).reshape(batch, count, shared, -1).transpose(1, 2)
    y = functional.scaled_dot_product_attention(
        q, k, v, scale=case.attrs["scale"], enable_gqa=heads != shared
    )
    return y.reshape(batch, -1)


@EVERY
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_values_are_what_pytorch_computes(case: Case, scale: float) -> None:
    torch: Any = pytest.importorskip("torch")
    xs = operands(case, 5, 1, scale)
    expected = torch_value(case, [torch.tensor(x) for x in xs]).numpy()
    for arrays in (numpy_arrays(), torch_arrays()):
        assert np.allclose(value(case, xs, arrays), expected, rtol=1e-12, atol=1e-13)


@EVERY
def test_gradients_are_what_pytorch_computes(case: Case) -> None:
    torch: Any = pytest.importorskip("torch")
    xs, node = operands(case, 4, 2), case.node()
    c = np.random.default_rng(3).normal(size=(4, *node.shape))
    leaves = [torch.tensor(x, requires_grad=True) for x in xs]
    y = torch_value(case, leaves)
    expected = [np.zeros_like(x) for x in xs]
    if y.requires_grad:
        (y * torch.tensor(c)).sum().backward()
        grads = [leaf.grad for leaf in leaves]
        expected = [g.numpy() if g is not None else e for g, e in zip(grads, expected, strict=True)]
    for arrays in (numpy_arrays(), torch_arrays()):
        for ours, theirs in zip(gradients(case, xs, c, arrays), expected, strict=True):
            assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-11)


@EVERY
def test_single_precision_stays_so(case: Case) -> None:
    xs = [np.round(4 * x) / 4 for x in operands(case, 3, 4)]
    c = np.ones((3, *case.node().shape))
    expected = value(case, xs, numpy_arrays())
    for arrays in (numpy_arrays("float32"), torch_arrays(dtype="float32")):
        assert np.allclose(value(case, xs, arrays), expected, rtol=1e-4, atol=1e-4)
        gradients(case, xs, c, arrays)


@pytest.mark.parametrize(
    "case", [c for c in JOINT if c.op in ("mul", "matmul")], ids=lambda c: c.name
)
def test_products_of_small_integers_are_exact(case: Case) -> None:
    """Against sums of fractions over every output entry, by the definition."""
    xs = [whole(60 + i, 2, *shape) for i, shape in enumerate(case.in_shapes)]
    y = value(case, xs, numpy_arrays())
    for entry in range(2):
        first, second = (exact.exactly(x[entry]) for x in xs)
        product = first * second if case.op == "mul" else _matmul(first, second)
        expected = np.asarray(product, dtype=object)
        assert expected.shape == y[entry].shape
        assert all(
            Fraction(float(a)) == b for a, b in zip(y[entry].flat, expected.flat, strict=True)
        )


def _matmul(a: exact.Numbers, b: exact.Numbers) -> exact.Numbers:
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    result = np.empty((*lead, a.shape[-2], b.shape[-1]), dtype=object)
    a, b = np.broadcast_to(a, (*lead, *a.shape[-2:])), np.broadcast_to(b, (*lead, *b.shape[-2:]))
    for i in np.ndindex(result.shape):
        row, column = a[(*i[:-2], i[-2])], b[(*i[:-2], slice(None), i[-1])]
        result[i] = sum((x * y for x, y in zip(row, column, strict=True)), Fraction(0))
    return result


def test_embedding_takes_rows() -> None:
    table = CASES["embedding"].consts["weight"]
    ids = np.array([[0.0, 4.0, 4.0], [2.0, 1.0, 0.0]])
    assert np.array_equal(value(CASES["embedding"], [ids], numpy_arrays()), table[ids.astype(int)])


def test_masked_entries_have_no_share_and_no_say() -> None:
    case, x = CASES["softmax-masked"], np.random.default_rng(5).normal(size=(1, 3, 3))
    y = value(case, [x], numpy_arrays())
    assert (y[0][MASK == 0] == 0).all()
    assert np.allclose(y.sum(axis=-1), 1)
    other = np.where(MASK == 0, 700.0, x)
    assert np.array_equal(value(case, [other], numpy_arrays()), y)
    assert (y[0, 1] == [0, 1, 0]).all()


def test_softmax_of_large_scores_neither_overflows_nor_loses_them() -> None:
    x = np.array([[[1e4, 1e4, 0.0, -1e4], [-1e4, -1e4, -1e4, -1e4]]])
    y = value(CASES["softmax"], [x], numpy_arrays())
    assert y.tolist() == [[[0.5, 0.5, 0.0, 0.0], [0.25] * 4]]


def test_the_lowest_of_equal_entries_wins() -> None:
    x = np.array([[[1.0, 3.0, 3.0, 2.0], [0.0, -0.0, 0.0, -1.0]]])
    for arrays in (numpy_arrays(), torch_arrays()):
        assert value(CASES["argmax"], [x], arrays).tolist() == [[1, 0]]


def test_heads_in_a_row_share_keys_and_values() -> None:
    """Head 0 and 1 of four read the first of two heads of keys: scores and values by hand."""
    case = CASES["attend-grouped"]
    q = np.array([[1.0, 0, 0, 1, 1, 0, 0, 1]])
    keys = [np.array([[1.0, 2, 3, 4]]), np.array([[0.0, 0, 0, 0]])]
    values = [np.array([[1.0, 10]]), np.array([[0.0, 0]])]
    scores = -1.25 * np.array([1.0, 2, 3, 4])
    expected = np.exp(scores) / (1 + np.exp(scores)) * np.array([1.0, 1, 10, 10])
    assert np.allclose(value(case, [q, *keys, *values], numpy_arrays())[0], expected, rtol=1e-14)


def test_gradients_of_rows_go_through_a_transformer_block() -> None:
    """Against differences of values, on numpy and on torch."""
    graph, rng = _block(), np.random.default_rng(6)
    rows = Query(
        rng.normal(size=(2, graph.input_size)), rng.normal(size=(2, graph.output_size)), np.ones(2)
    )
    x, weights = rng.normal(size=(3, graph.input_size)), rng.normal(size=(3, 2))

    def total(x: Array) -> Array:
        y = evaluate(graph, x)
        result: Array = ((x @ rows.inputs.T + y @ rows.outputs.T - 1) * weights).sum(axis=1)
        return result

    for arrays in (numpy_arrays(), torch_arrays()):
        _, values = row_values(graph, rows, arrays.asarray(x), arrays)
        found = arrays.numpy(row_gradient(graph, rows, weights, values, arrays))
        for i in range(graph.input_size):
            step = 1e-6 * np.eye(graph.input_size)[i]
            slope = (total(x + step) - total(x - step)) / 2e-6
            assert np.allclose(found[:, i], slope, rtol=1e-5, atol=1e-7)


def _block() -> Graph:
    """Attention with its softmax as nodes of its own, an attend, a gate, and both norms."""
    builder = GraphBuilder()
    x, z = builder.input("x", (3, 4)), builder.input("z", (4,))
    norm = {"axes": 1, "centered": 1, "epsilon": 0.01}
    h = builder.add("normalize", [x], attrs=norm)
    turned = builder.add("matmul", [h, builder.add("reshape", [x], attrs={"shape": (4, 3)})])
    shares = builder.add("softmax", [turned])
    mixed = builder.add("matmul", [shares, h])
    gate = builder.add("mul", [mixed, builder.add("sigmoid", [z])])
    rms = builder.add("normalize", [gate], attrs={**norm, "centered": 0})
    flat = builder.add("reshape", [rms], attrs={"shape": (12,)})
    attended = builder.add(
        "attend",
        [z, z, flat_part(builder, flat), z, flat_part(builder, flat)],
        attrs={"heads": 2, "kv_heads": 2, "scale": 0.7},
    )
    return builder.build({"y": attended, "r": rms})


def flat_part(builder: GraphBuilder, flat: int) -> int:
    """Four entries of a vector."""
    from absint.ir import Constant

    return builder.add("gather", [flat], consts={"index": Constant(np.array([0, 5, 10, 3]))})
