"""Small decoders as ONNX files, and what onnxruntime writes with them, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

VOCABULARY = ("a", "b", "c", "X", "Y", "END")
MOST = 16


@dataclass
class OnnxDecoder:
    """Embedding, positions, one head of attention, logits: tokens (1, m) to (1, m, vocabulary).

    ``length`` None: any number of tokens. ``last``: logits of the last token only, (1, vocabulary).
    """

    length: int | None = None
    causal: bool = True
    last: bool = False
    seed: int = 0
    vocabulary: int = len(VOCABULARY)
    width: int = 6

    def save(self, path: Path) -> Path:
        onnx.save(self.proto(), path)
        return path

    def proto(self) -> onnx.ModelProto:
        rng, w, size = np.random.default_rng(self.seed), self.width, self.vocabulary
        mask = np.triu(np.full((MOST, MOST), -np.inf), 1)
        arrays: dict[str, Any] = {
            "table": 2 * rng.normal(size=(size, w)),
            "places": rng.normal(size=(MOST, w)),
            **{name: rng.normal(size=(w, w)) / 2 for name in ("wq", "wk", "wv")},
            "wo": 2 * rng.normal(size=(w, size)),
            "mask": mask if self.causal else np.zeros((MOST, MOST)),
        }
        constants = [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in arrays.items()
        ]
        numbers = {"zero": [0], "one": [1], "minus": [-1], "two": [2], "end": [1 << 40]}
        constants += [numpy_helper.from_array(np.array(v), k) for k, v in numbers.items()]
        node = helper.make_node
        nodes = [
            node("Shape", ["tokens"], ["shape"]),
            node("Slice", ["shape", "one", "two", "zero"], ["count"]),
            node("Slice", ["places", "zero", "count", "zero"], ["positions"]),
            node("Slice", ["mask", "zero", "count", "zero"], ["rows"]),
            node("Slice", ["rows", "zero", "count", "one"], ["masked"]),
            node("Gather", ["table", "tokens"], ["embedded"]),
            node("Add", ["embedded", "positions"], ["x"]),
            *(node("MatMul", ["x", f"w{part}"], [part]) for part in "qkv"),
            node("Transpose", ["k"], ["turned"], perm=[0, 2, 1]),
            node("MatMul", ["q", "turned"], ["scores"]),
            node("Add", ["scores", "masked"], ["hidden"]),
            node("Softmax", ["hidden"], ["shares"], axis=-1),
            node("MatMul", ["shares", "v"], ["mixed"]),
            node("Add", ["x", "mixed"], ["y"]),
            node("MatMul", ["y", "wo"], ["each" if self.last else "logits"]),
        ]
        shape: list[int | str] = [1, self.length or "m", size]
        if self.last:
            nodes += [
                node("Slice", ["each", "minus", "end", "one"], ["row"]),
                node("Squeeze", ["row", "one"], ["logits"]),
            ]
            shape = [1, size]
        tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, self.length or "m"])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)
        graph = helper.make_graph(nodes, "decoder", [tokens], [logits], constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Session:
    """onnxruntime on a file, with calls as the test makes them."""

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = ort.InferenceSession(str(path), options)

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """The one output for these tokens, without its first axis."""
        found: NDArray[np.float32] = self._session.run(None, {"tokens": np.array([tokens])})[0][0]
        return found

    def write(self, prompt: Sequence[int], steps: int, stop: Sequence[int] = ()) -> list[int]:
        """What a network of open length with a row for each token writes."""
        text = list(prompt)
        for _ in range(steps):
            text.append(int(np.argmax(self.logits(text)[-1])))
            if text[-1] in stop:
                break
        return text[len(prompt) :]
