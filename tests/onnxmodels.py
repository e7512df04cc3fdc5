"""ONNX models for tests, and the comparison of their lowering with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from absint.frontends.onnx import OnnxModel, load
from absint.frontends.runtime import OnnxRuntime
from absint.ir import OPS, Graph, Node, PiecewiseLinear
from absint.ir.evaluate import outputs, run
from absint.ir.joint import aligned

Array = NDArray[Any]
ELEMENT = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


def whole(seed: int, *shape: int, dtype: str = "float32", low: int = -4, high: int = 4) -> Array:
    """Small integers: sums of their products are exact in float32, in any order."""
    return np.random.default_rng(seed).integers(low, high + 1, shape).astype(dtype)


def real(seed: int, *shape: int, dtype: str = "float64") -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


class Var(tuple[int, ...]):
    """The shape of an operand that depends on the input."""


def var(*shape: int) -> Var:
    return Var(shape)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Sequence[str],
    constants: Mapping[str, Array] | None = None,
    *,
    opset: int = 13,
    dtype: str = "float32",
    ir_version: int = 8,
) -> onnx.ModelProto:
    """A model whose outputs' shapes are left open."""
    element = ELEMENT[dtype]
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, element, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, element, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version)


def single(
    op: str,
    *operands: Var | Array | None,
    opset: int = 13,
    dtype: str = "float32",
    count: int = 1,
    **attributes: Any,
) -> onnx.ModelProto:
    """One node: operands are variables (by shape), constants, or left out (None)."""
    names = [f"x{i}" if operand is not None else "" for i, operand in enumerate(operands)]
    pairs = list(zip(names, operands, strict=True))
    results = [f"y{i}" for i in range(count)]
    node = helper.make_node(op, names, results, name="the_node", **attributes)
    return model(
        [node],
        {name: tuple(operand) for name, operand in pairs if isinstance(operand, Var)},
        results,
        {name: operand for name, operand in pairs if isinstance(operand, np.ndarray)},
        opset=opset,
        dtype=dtype,
        ir_version=max(4, min(13, opset // 2)),
    )


AT_KNOTS = np.array(
    [[0.0, -0.0, 1e-45, -1e-45, 6.0, 5.9999995, 6.0000005, -1.5, 2.5, 0.1, 1e4, -1e4, 3e38, -3e38]],
    dtype=np.float32,
).astype(np.float64)
"""Inputs at, beside and far from the limits that tests use, and at the ends of float32."""


def scalar(value: float, dtype: str = "float32") -> Array:
    return np.array(value, dtype=dtype)


def saved(proto: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(proto.SerializeToString())
    return path


def both(proto: onnx.ModelProto, folder: Path, x: Array | None = None, seed: int = 0) -> Any:
    """``(graph, x, onnxruntime's outputs, all of the graph's values)`` on integer inputs."""
    lowered: OnnxModel = load(saved(proto, folder))
    if x is None:
        x = whole(seed, 6, lowered.graph.input_size, dtype="float64")
    truth = OnnxRuntime(lowered).run(x)
    return lowered.graph, x, truth, run(lowered.graph, x)


def agree_exactly(proto: onnx.ModelProto, folder: Path, x: Array | None = None) -> Graph:
    """The lowering equals onnxruntime, bit for bit (up to the sign of zero)."""
    graph, _, truth, values = both(proto, folder, x)
    assert np.array_equal(outputs(graph, values), truth)
    return graph  # type: ignore[no-any-return]


def agree(proto: onnx.ModelProto, folder: Path, x: Array | None = None, seed: int = 0) -> Graph:
    """The lowering equals onnxruntime within the error that the runtime's arithmetic may make."""
    if x is None:
        lowered = load(saved(proto, folder))
        x = real(seed, 6, lowered.graph.input_size, dtype="float32").astype(np.float64)
    graph, x, truth, values = both(proto, folder, x)
    error = outputs(graph, error_bounds(graph, x, values))
    difference = np.abs(outputs(graph, values) - truth)
    assert (difference <= error).all(), (difference.max(), error.max())
    return graph  # type: ignore[no-any-return]


def ops(graph: Graph) -> list[str]:
    """The ops of all nodes but the first, which is the input."""
    return [node.op for node in graph.nodes[1:]]


def only_clip(graph: Graph) -> tuple[float, float]:
    """The ends of the only node, which must be a clip."""
    assert ops(graph) == ["clip"]
    return graph.nodes[1].extended("lower"), graph.nodes[1].extended("upper")


ELEMENTARY = {"float32": 1e-6, "float64": 1e-12}
"""How far onnxruntime's elementary functions are from the true ones, of 1 or of the value."""
UNIT = {"float32": 2.0**-23, "float64": 2.0**-51}
"""Twice the unit roundoff, so that the rounding of the graph's own float64 run is covered."""


def error_bounds(graph: Graph, x: Array, values: list[Array]) -> list[Array]:
    """A running error analysis of every node's value, for any summation order.

    An affine node passes on ``|W| e`` and adds ``n u (|W| |x| + |b|)``, n its longest sum and u
    from UNIT. A function of one variable passes on how far it moves over its operand's error.
    """
    kinds = {port.dtype for port in graph.inputs} & set(UNIT)
    dtype = kinds.pop() if kinds else "float32"
    errors: list[Any] = []
    for node, value in zip(graph.nodes, values, strict=True):
        xs, before = [values[i] for i in node.inputs], [errors[i] for i in node.inputs]
        op = OPS[node.op]
        if op.affine is not None:
            errors.append(_affine_error(node, xs, before, UNIT[dtype]))
        elif op.univariate is not None:
            errors.append(_univariate_error(node, xs[0], before[0], value, dtype))
        elif op.joint is not None:
            errors.append(JOINT[node.op](node, xs, before, value, dtype))
        else:
            errors.append(np.zeros_like(value))
    return errors


def _affine_error(node: Node, xs: list[Array], before: list[Array], u: float) -> Array:
    rule = OPS[node.op].affine
    assert rule is not None
    weight = np.abs(node.consts["weight"].value) if "weight" in node.consts else None
    sizes = [np.abs(x) for x in xs]
    size = rule.magnitude(node, sizes, weight, np)
    passed = rule.magnitude(node, before, weight, np)
    bias = np.abs(node.consts["bias"].value) if "bias" in node.consts else 0.0
    return np.asarray(passed + (rule.fan_in(node) + 4) * u * (size + bias))


def _univariate_error(node: Node, x: Array, e: Array, value: Array, dtype: str) -> Array:
    rule = OPS[node.op].univariate
    assert rule is not None
    if node.op in ("floor", "round", "sign"):
        return np.zeros_like(value)  # tests keep away from their jumps
    with np.errstate(all="ignore"):
        moved = [np.abs(rule.value(node, x + t * e, np) - value) for t in (-1, 1)]
    own = UNIT[dtype] if isinstance(rule.facts(node), PiecewiseLinear) else ELEMENTARY[dtype]
    floor = 0.0 if own == UNIT[dtype] else ELEMENTARY[dtype]
    return np.asarray(1.1 * np.fmax(*moved) + own * np.abs(value) + floor)


def _mul_error(node: Node, xs: list[Array], es: list[Array], value: Array, dtype: str) -> Array:
    (a, b), (ea, eb) = ([aligned(t, len(node.shape)) for t in part] for part in (xs, es))
    return np.asarray(np.abs(a) * eb + np.abs(b) * ea + ea * eb + UNIT[dtype] * np.abs(value))


def _matmul_error(node: Node, xs: list[Array], es: list[Array], value: Array, dtype: str) -> Array:
    (a, b), (ea, eb) = ([aligned(t, len(node.shape)) for t in part] for part in (xs, es))
    own = (a.shape[-1] + 4) * UNIT[dtype] * (np.abs(a) @ np.abs(b))
    return np.asarray(np.abs(a) @ eb + ea @ np.abs(b) + ea @ eb + own)


def _softmax_error(node: Node, xs: list[Array], es: list[Array], value: Array, dtype: str) -> Array:
    largest = es[0].max(axis=-1, keepdims=True)
    own = (value.shape[-1] + 4) * ELEMENTARY[dtype]
    return np.asarray(value * (np.expm1(2 * np.minimum(largest, 100)) + own) + 1e-30)


def _normalize_error(
    node: Node, xs: list[Array], es: list[Array], value: Array, dtype: str
) -> Array:
    """``|dy| <= (|dc| + |y| |dr|) / r`` for c the centred values and r their root mean square."""
    axes = tuple(range(-node.integer("axes"), 0))
    count = np.prod([value.shape[axis] for axis in axes])
    own = (count + 8) * UNIT[dtype] * np.abs(xs[0]).max(axis=axes, keepdims=True)
    change = 2 * es[0].max(axis=axes, keepdims=True) + own
    c = xs[0] - node.integer("centered") * xs[0].mean(axis=axes, keepdims=True)
    root = np.sqrt((c * c).mean(axis=axes, keepdims=True) + node.number("epsilon"))
    relative = change / np.maximum(root - change, 1e-30)
    return np.asarray(relative * (1 + np.abs(value)) + (count + 8) * UNIT[dtype] * np.abs(value))


def _exact(node: Node, xs: list[Array], es: list[Array], value: Array, dtype: str) -> Array:
    return np.zeros_like(value)


JOINT = {
    "mul": _mul_error,
    "matmul": _matmul_error,
    "softmax": _softmax_error,
    "normalize": _normalize_error,
    "embedding": _exact,
    "argmax": _exact,
}
