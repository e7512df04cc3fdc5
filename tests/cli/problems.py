"""Small problems for tests of the command line, and what a run of it gave."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "advisory"
MODEL = EXAMPLES / "advisory.onnx"
SAFE = EXAMPLES / "safe.yaml"
UNSAFE = EXAMPLES / "unsafe.yaml"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout, strictly JSON: no NaN, nothing beside it."""

        def reject(word: str) -> None:
            raise AssertionError(f"{word} is not JSON")

        return json.loads(self.out, parse_constant=reject)


Run = Callable[..., Outcome]


def network(weights: list[list[list[float]]], path: Path) -> Path:
    """A ReLU network without biases, x (1, n) to y (1, m), saved as ONNX."""
    nodes, value = [], "x"
    arrays = [np.array(w, dtype=np.float32) for w in weights]
    for index in range(len(arrays)):
        last = index == len(arrays) - 1
        result = "y" if last else f"sum_{index}"
        nodes.append(helper.make_node("MatMul", [value, f"w{index}"], [result], f"layer_{index}"))
        if not last:
            nodes.append(helper.make_node("Relu", [result], [f"hidden_{index}"]))
            value = f"hidden_{index}"
    sides = [("x", arrays[0].shape[0]), ("y", arrays[-1].shape[1])]
    ends = [helper.make_tensor_value_info(name, 1, [1, size]) for name, size in sides]
    constants = [numpy_helper.from_array(array, f"w{i}") for i, array in enumerate(arrays)]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], constants)
    imports = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
    return path


def hard(folder: Path) -> tuple[Path, Path]:
    """A model and a true property that take the search far longer than any test."""
    rng = np.random.default_rng(0)
    sizes = [12, 96, 96, 96, 96, 1]
    weights = [
        (rng.standard_normal(shape) * np.sqrt(2 / shape[0])).tolist()
        for shape in itertools.pairwise(sizes)
    ]
    model, spec = network(weights, folder / "hard.onnx"), folder / "hard.yaml"
    spec.write_text("region: {all: [-3, 3]}\nnever: y[0] >= 60\n")
    return model, spec
