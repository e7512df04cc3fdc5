"""Elementwise ops of the core as onnxruntime and PyTorch compute them, on float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from absint.ir import GraphBuilder, Node
from absint.ir.graph import Attribute

F = torch.nn.functional
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Elementwise:
    """One op: how to run it, where it has a value and ``near`` which numbers it is sampled."""

    op: str
    torch: Callable[[Any], Any]
    onnx: str | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    lower: float = -1e4
    upper: float = 1e4
    core: dict[str, Attribute] = field(default_factory=dict)
    exponent: float | None = None

    @property
    def name(self) -> str:
        return self.op if self.exponent is None else f"{self.op}-{self.exponent:g}"

    def node(self) -> Node:
        builder = GraphBuilder()
        builder.add(self.op, [builder.input("x", (1,))], attrs=self.core)
        return builder.nodes[-1]

    def sample(self, rng: np.random.Generator, count: int) -> Floats:
        """Float32 numbers of all sizes, most of them where functions bend; distinct signs."""
        widths = rng.choice([1.0, 8.0, 20.0, 100.0, 1e4], size=count)
        wide = rng.uniform(-1, 1, count) * widths
        sizes = np.exp(rng.uniform(np.log(1e-37), np.log(self.upper), count))
        x = np.where(rng.random(count) < 0.75, wide, sizes * rng.choice([-1, 1], count))
        x = np.clip(x, self.lower, self.upper).astype(np.float32)
        return x[np.abs(x) >= 2.0**-126]

    def runs(self, x: Floats) -> dict[str, NDArray[np.float64]]:
        """What each runtime gives; PyTorch also one number at a time, without vector code."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        few = x[:: max(1, len(x) // 500)]
        alone = [self.torch(torch.from_numpy(few[i : i + 1])).numpy() for i in range(len(few))]
        found = {
            "PyTorch": self.torch(torch.from_numpy(x)).numpy().astype(np.float64),
            "PyTorch, one by one": np.full(x.shape, np.nan),
        }
        found["PyTorch, one by one"][:: max(1, len(x) // 500)] = np.concatenate(alone)
        torch.set_num_threads(threads)
        if self.onnx is not None:
            found["onnxruntime"] = self._session().run(None, {"x": x})[0].astype(np.float64)
        return found

    def exact(self, x: Floats) -> NDArray[np.float64]:
        """In float64, whose own error is far below what is measured."""
        found: NDArray[np.float64] = self.torch(torch.from_numpy(x).double()).numpy()
        return found

    def _session(self) -> Any:
        extra = [] if self.exponent is None else ["e"]
        node = helper.make_node(self.onnx, ["x", *extra], ["y"], **self.attrs)
        ports = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in ("x", "y")
        ]
        constants = [helper.make_tensor(n, TensorProto.FLOAT, [], [self.exponent]) for n in extra]
        graph = helper.make_graph([node], "one", ports[:1], ports[1:], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(model.SerializeToString(), options)


TINY = 2.0**-126
RUNS = [
    Elementwise("sigmoid", torch.sigmoid, "Sigmoid"),
    Elementwise("tanh", torch.tanh, "Tanh"),
    Elementwise("erf", torch.erf, "Erf"),
    Elementwise("exp", torch.exp, "Exp", lower=-100.0, upper=88.0),
    Elementwise("log", torch.log, "Log", lower=TINY, upper=1e30),
    Elementwise("sqrt", torch.sqrt, "Sqrt", lower=TINY, upper=1e30),
    Elementwise("reciprocal", torch.reciprocal, "Reciprocal", upper=1e30),
    Elementwise("sin", torch.sin, "Sin", lower=-6.5e4, upper=6.5e4),
    Elementwise("cos", torch.cos, "Cos", lower=-6.5e4, upper=6.5e4),
    Elementwise("gelu", F.gelu, "Gelu"),
    Elementwise(
        "gelu_tanh", lambda x: F.gelu(x, approximate="tanh"), "Gelu", {"approximate": "tanh"}
    ),
    Elementwise("silu", F.silu),
    Elementwise("mish", F.mish, "Mish"),
    Elementwise("softplus", F.softplus, "Softplus"),
    Elementwise("elu", F.elu, "Elu", core={"alpha": 1.0}),
    Elementwise(
        "leaky_relu",
        lambda x: F.leaky_relu(x, 0.01),
        "LeakyRelu",
        {"alpha": 0.01},
        core={"alpha": 0.01},
    ),
    Elementwise("hard_swish", F.hardswish, "HardSwish"),
    Elementwise("relu", F.relu, "Relu"),
    Elementwise("abs", torch.abs, "Abs"),
    Elementwise("floor", torch.floor, "Floor"),
    Elementwise("round", torch.round, "Round"),
    Elementwise("sign", torch.sign, "Sign"),
    Elementwise("clip", lambda x: x.clamp(-1.5, 2.0), core={"lower": -1.5, "upper": 2.0}),
    *(
        Elementwise(
            "power",
            lambda x, n=n: x**n,
            "Pow",
            lower=-1e4,
            core={"exponent": n},
            exponent=float(n),
        )
        for n in (2, 3, 5)
    ),
]
