"""A network that decodes as an ONNX file: what the training scripts share."""

from __future__ import annotations

import onnx
import torch


def to_onnx(model: torch.nn.Module, tokens: int) -> onnx.ModelProto:
    """``tokens`` (1, m) to ``logits`` (1, m, vocabulary), without the exporter's notes."""
    program = torch.onnx.export(
        model.eval(),
        (torch.zeros(1, tokens, dtype=torch.int64),),
        dynamo=True,
        opset_version=20,
        input_names=["tokens"],
        output_names=["logits"],
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    graph = proto.graph
    items = [graph.node, graph.value_info, graph.input, graph.output, graph.initializer]
    for item in (proto, graph, *(entry for entries in items for entry in entries)):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    onnx.checker.check_model(proto, full_check=True)
    return proto
