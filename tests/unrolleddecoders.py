"""One small decoder whose greedy loop is unrolled in the model: written by hand, and in PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxdecoders import OnnxDecoder
from torch import nn


def written_by_hand(
    decoder: OnnxDecoder, prompt: int, steps: int, emits: Sequence[str] | None = None, **argmax: int
) -> onnx.ModelProto:
    """The step network ``steps`` times: Gather, ArgMax, Unsqueeze and Concat after each.

    ``emits``: what the output concatenates, of ``tokens`` (the prompt), ``text_1``, ``text_2``, ...
    (the text after each step) and ``next_1``, ``next_2``, ... (the emitted tokens).
    """
    proto = decoder.proto()
    known = {tensor.name for tensor in proto.graph.initializer}
    nodes = []
    for step in range(1, steps + 1):
        text = "tokens" if step == 1 else f"text_{step - 1}"
        for original in proto.graph.node:
            node = copy.deepcopy(original)
            own = [
                name if name in known else text if name == "tokens" else f"{name}_{step}"
                for name in node.input
            ]
            node.ClearField("input")
            node.input.extend(own)
            node.output[0] = f"{node.output[0]}_{step}"
            nodes.append(node)
        nodes += [
            helper.make_node("Gather", [f"logits_{step}", "last"], [f"row_{step}"], axis=1),
            helper.make_node(
                "ArgMax",
                [f"row_{step}"],
                [f"best_{step}"],
                f"choice_{step}",
                **{"axis": 1, "keepdims": 0, **argmax},
            ),
            helper.make_node("Unsqueeze", [f"best_{step}", "one"], [f"next_{step}"]),
            helper.make_node("Concat", [text, f"next_{step}"], [f"text_{step}"], axis=1),
        ]
    named = emits or [f"next_{step}" for step in range(1, steps + 1)]
    nodes.append(helper.make_node("Concat", named, ["emitted"], axis=1))
    constants = [*proto.graph.initializer, numpy_helper.from_array(np.array(-1), "last")]
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, prompt])
    emitted = helper.make_tensor_value_info("emitted", TensorProto.INT64, [1, "count"])
    graph = helper.make_graph(nodes, "unrolled", [tokens], [emitted], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Step(nn.Module):
    """The decoder's weights in PyTorch: (1, m) to (1, m, vocabulary)."""

    def __init__(self, decoder: OnnxDecoder) -> None:
        super().__init__()
        for tensor in decoder.proto().graph.initializer:
            if tensor.data_type == TensorProto.FLOAT:
                value = torch.tensor(numpy_helper.to_array(tensor))
                self.register_buffer(tensor.name, value)

    def forward(self, tokens: torch.Tensor) -> Any:
        count = tokens.shape[1]
        x = nn.functional.embedding(tokens, self.table) + self.places[:count]
        scores = (x @ self.wq) @ (x @ self.wk).transpose(1, 2) + self.mask[:count, :count]
        return (x + torch.softmax(scores, dim=-1) @ (x @ self.wv)) @ self.wo


class Loop(nn.Module):
    """Writes ``steps`` tokens by argmax; gives them, or the ``whole`` text."""

    def __init__(self, decoder: OnnxDecoder, steps: int, whole: bool) -> None:
        super().__init__()
        self.step, self.steps, self.whole = Step(decoder), steps, whole

    def forward(self, tokens: torch.Tensor) -> Any:
        prompt = tokens.shape[1]
        for _ in range(self.steps):
            chosen = self.step(tokens)[:, -1].argmax(-1)
            tokens = torch.cat([tokens, chosen.unsqueeze(1)], 1)
        return tokens if self.whole else tokens[:, prompt:]


def example(prompt: int) -> tuple[torch.Tensor, ...]:
    return (torch.zeros((1, prompt), dtype=torch.int64),)


def exported(module: nn.Module, prompt: int, path: Path) -> Path:
    """By torch's dynamo exporter, opset 20."""
    torch.onnx.export(
        module.eval(), example(prompt), str(path), dynamo=True, opset_version=20, verbose=False
    )
    return path
