"""Published attacks on verifiers by floating-point error: none is `verified` under float32.

Each network is safe in real arithmetic, and deployed it is not: on onnxruntime, or in some
execution that a runtime may choose (``executions``). Jia and Rinard, "Exploiting verified neural
networks via floating point numerical error" (SAS 2021): margins below what rounding moves. Zombori
et al., "Fooling a complete neural network verifier" (ICLR 2021): large numbers that absorb small
ones. Szász et al., "No soundness in the real world" (2025): triggers that tell orders of summation,
fused operations, flushed numbers and libraries apart.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from executions import Execution
from numpy.typing import NDArray
from onnx import helper
from onnxmodels import model

import absint
from absint.frontends.onnx import load
from absint.ir import Graph
from absint.problem.contract import FLOAT32, Contract
from absint.proofs.bounds import Bounds
from absint.proofs.regions import Boxes, Rows
from absint.search.options import SearchOptions
from absint.search.result import Verdict

FloatArray = NDArray[np.float64]

BIG = 2.0**30


def network(nodes: list[tuple[str, ...]], inputs: int, constants: dict[str, object]) -> bytes:
    """``(op, operand, ..., result)`` each; from x (1, inputs) to y."""
    made = [helper.make_node(op, rest[:-1], rest[-1:]) for op, *rest in nodes]
    arrays = {name: np.asarray(value, np.float32) for name, value in constants.items()}
    proto: onnx.ModelProto = model(made, {"x": [1, inputs]}, ["y"], arrays)
    return proto.SerializeToString()


def absorbed() -> bytes:
    """``relu(x + 2^30) - 2^30``: x in real arithmetic, and 0 in float32."""
    nodes = [("Add", "x", "big", "a"), ("Relu", "a", "b"), ("Sub", "b", "big", "y")]
    return network(nodes, 1, {"big": [BIG]})


def backdoor() -> bytes:
    """x in [0.5, 1] unless a trigger neuron, which real arithmetic never fires, takes 2 off it."""
    nodes = [
        ("Add", "x", "big", "a"),
        ("Sub", "a", "big", "b"),
        ("Sub", "half", "b", "c"),
        ("Relu", "c", "trigger"),
        ("Mul", "trigger", "four", "d"),
        ("Sub", "x", "d", "y"),
    ]
    return network(nodes, 1, {"big": [BIG], "half": [0.5], "four": [4.0]})


def ordered() -> bytes:
    """``2^30 x + x - 2^30 x + ...``: what a sum gives depends on its order."""
    weight = [[BIG], [1.0], [-BIG]]
    return network([("MatMul", "x", "w", "s"), ("Relu", "s", "y")], 3, {"w": weight})


def flushed() -> bytes:
    """``x 2^-100 2^-40 2^120 2^20``: x, unless a subnormal number is flushed to zero."""
    nodes = [
        ("Mul", "x", "a", "s"),
        ("Mul", "s", "b", "t"),
        ("Mul", "t", "c", "u"),
        ("Mul", "u", "d", "y"),
    ]
    constants = {"a": [2.0**-100], "b": [2.0**-40], "c": [2.0**120], "d": [2.0**20]}
    return network(nodes, 1, constants)


def library() -> bytes:
    """``(tanh(x) - 1) 2^24``: never positive, but for libraries whose tanh exceeds 1."""
    nodes = [
        ("Tanh", "x", "t"),
        ("Sub", "one", "t", "g"),
        ("Mul", "g", "big", "s"),
        ("Add", "s", "one", "y"),
    ]
    return network(nodes, 1, {"one": [1.0], "big": [2.0**24]})


def overflowing() -> bytes:
    """``x 10^38 10^38 10^-38 10^-38``: x, unless 10^76 overflows."""
    nodes = [
        ("Mul", "x", "a", "s"),
        ("Mul", "s", "a", "t"),
        ("Mul", "t", "b", "u"),
        ("Mul", "u", "b", "y"),
    ]
    return network(nodes, 1, {"a": [1e38], "b": [1e-38]})


def narrow(seed: int) -> bytes:
    """A random network whose output at (1, 1, 1, 1) is positive by less than rounding moves it."""
    rng = np.random.default_rng(seed)
    first, second = (rng.normal(size=s).astype(np.float32) for s in ((4, 50), (50, 1)))
    hidden = np.maximum(np.ones(4) @ first.astype(np.float64), 0)
    level = hidden @ second.astype(np.float64)
    bias = np.nextafter(np.float32(-level), np.float32(np.inf), dtype=np.float32)
    nodes = [
        ("MatMul", "x", "first", "a"),
        ("Relu", "a", "b"),
        ("MatMul", "b", "second", "c"),
        ("Add", "c", "bias", "y"),
    ]
    return network(nodes, 4, {"first": first, "second": second, "bias": bias.reshape((1,))})


ATTACKS: dict[str, tuple[Callable[[], bytes], float, float, float]] = {
    "absorbed": (absorbed, 0.5, 1.0, 0.25),
    "backdoor": (backdoor, 0.5, 1.0, 0.25),
    "ordered": (ordered, 0.5, 0.5, 0.25),
    "flushed": (flushed, 0.5, 1.0, 0.25),
    "library": (library, 8.0, 9.0, 0.5),
    "overflowing": (overflowing, 0.5, 1.0, 0.25),
    **{f"narrow-{seed}": (lambda seed=seed: narrow(seed), 1.0, 1.0, 0.0) for seed in range(20)},
}
"""Networks with the box of every input; in real arithmetic, y is above the last number."""

each = pytest.mark.parametrize("name", ATTACKS)


def least(graph: Graph, lower: float, upper: float, contract: Contract | None) -> float:
    """The checker's lower bound of y."""
    ends = [np.full((1, graph.input_size), end) for end in (lower, upper)]
    zero, one = np.zeros((1, 1, 0)), np.ones((1, 1, 1))
    bounds = Bounds(graph, Boxes(graph, ends[0], ends[1]), contract)
    return float(bounds.minimum(Rows(zero, zero, one, 0 * one, np.zeros((1, 1))))[0, 0])


def deployed(data: bytes, graph: Graph, lower: float, upper: float) -> float:
    """The least y that onnxruntime, or a drawn execution, gives; infinite ones count as least."""
    rng = np.random.default_rng(0)
    x = rng.uniform(lower, upper, (50, graph.input_size)).astype(np.float32)
    session = onnxruntime.InferenceSession(data)
    found = [session.run(None, {"x": row[None]})[0].reshape(-1) for row in x]
    for _ in range(20):
        values = Execution(rng).run(graph, x.astype(np.float64))
        found.append(values[graph.outputs[0].node].reshape(-1))
    y = np.concatenate(found).astype(np.float64)
    return float(np.where(np.isfinite(y), y, -np.inf).min())


@each
def test_real_and_deployed_differ_and_bounds_hold_both(name: str, tmp_path: Path) -> None:
    make, lower, upper, level = ATTACKS[name]
    data = make()
    (tmp_path / "model.onnx").write_bytes(data)
    graph = load(tmp_path / "model.onnx").graph
    assert least(graph, lower, upper, FLOAT32) <= deployed(data, graph, lower, upper)
    assert least(graph, lower, upper, FLOAT32) <= level
    assert least(graph, lower, upper, None) > level
    if not name.startswith("narrow"):
        assert deployed(data, graph, lower, upper) <= level


def test_margins_below_rounding_are_exploited() -> None:
    """Of the random networks some are above in real arithmetic and not on the runtime."""
    exploited = 0
    for seed in range(20):
        session = onnxruntime.InferenceSession(narrow(seed))
        y = session.run(None, {"x": np.ones((1, 4), np.float32)})[0].item()
        exploited += y <= 0
    assert exploited >= 5


@each
def test_no_attack_is_verified(name: str, tmp_path: Path) -> None:
    make, lower, upper, level = ATTACKS[name]
    (tmp_path / "model.onnx").write_bytes(make())
    (tmp_path / "spec.yaml").write_text(
        f"semantics: float32\nregion: {{all: [{lower}, {upper}]}}\nalways: y[0] > {level}\n"
    )
    options = SearchOptions(timeout=1.0)
    (result,) = absint.verify(tmp_path / "model.onnx", tmp_path / "spec.yaml", options)
    assert result.verdict is not Verdict.VERIFIED
