"""What ``absint inspect`` shows."""

from __future__ import annotations

from collections import Counter
from typing import Any

from absint.frontends.lowering.tensors import TensorInfo
from absint.frontends.onnx import Inspection
from absint.frontends.torch import TorchInspection
from absint.report.document import dumps
from absint.report.view import View

AnyInspection = Inspection | TorchInspection


def show(view: View, found: AnyInspection) -> None:
    """Prints what a model holds, and everything in it that is not supported."""
    text = None if found.graph is None else view.text(found.graph)
    if view.style == "json":
        print(dumps({**_facts(found), "ir": text}))
        return
    print(f"{found.path}: {_kind(found)}")
    if found.digest is not None:
        print(f"sha256 {found.digest}")
    for label, tensors in (("input", found.inputs), ("output", found.outputs)):
        for tensor in tensors:
            print(f"{label:7} {_tensor(tensor)}")
    print(f"{found.parameters} parameters")
    print("ops     " + ", ".join(f"{name} x{count}" for name, count in found.ops.items()))
    if found.graph is not None:
        counts = Counter(node.op for node in found.graph.nodes)
        print("lowered " + ", ".join(f"{op} x{count}" for op, count in sorted(counts.items())))
        if text is not None:
            print(text, end="")
        return
    print(f"not supported: {len(found.unsupported)}")
    for item in found.unsupported:
        print(f"  {item}")


def _kind(found: AnyInspection) -> str:
    if isinstance(found, TorchInspection):
        return found.producer
    kind = f"ONNX IR {found.ir_version}, opset {found.opset}, {found.producer}"
    return kind.rstrip(", ")


def _tensor(tensor: TensorInfo) -> str:
    shape = "any shape" if tensor.shape is None else str(list(tensor.shape))
    return f"{tensor.name}: {tensor.dtype} {shape}"


def _facts(found: AnyInspection) -> dict[str, Any]:
    return {
        "model": str(found.path),
        "sha256": found.digest,
        **_onnx(found),
        "producer": found.producer,
        "inputs": [_tensor_facts(t) for t in found.inputs],
        "outputs": [_tensor_facts(t) for t in found.outputs],
        "parameters": found.parameters,
        "ops": dict(found.ops),
        "lowered": (
            None
            if found.graph is None
            else dict(sorted(Counter(n.op for n in found.graph.nodes).items()))
        ),
        "unsupported": [
            {"place": u.place, "what": u.what, "hint": u.hint} for u in found.unsupported
        ],
    }


def _onnx(found: AnyInspection) -> dict[str, Any]:
    if isinstance(found, TorchInspection):
        return {}
    return {"ir_version": found.ir_version, "opset": found.opset}


def _tensor_facts(tensor: TensorInfo) -> dict[str, Any]:
    shape = None if tensor.shape is None else list(tensor.shape)
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": shape}
