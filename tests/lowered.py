"""To which ops of the core the ops of ONNX and PyTorch lower, found by lowering cases of them."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
import schemas
import torch
from torchmodels import Function
from torchops import BINARY, LOGIC, MOVES, SHAPE, UNARY, WHOLE
from torchzoo import Decoder, Greedy

from absint.frontends.lowering.values import MalformedError
from absint.frontends.onnx.lower import lower as lower_onnx
from absint.frontends.torch.export import export
from absint.frontends.torch.lower import lower as lower_torch
from absint.ir import OPS, Graph, Node

DECODER = Path(__file__).resolve().parent.parent / "examples" / "monitor" / "monitor_8.onnx"

Found = tuple[str, frozenset[str]]
"""An op of a front-end, and the core ops that one call of it gave."""


def by_core_op(calls: Iterator[Found]) -> Mapping[str, set[str]]:
    """Core op to front-ends' ops: of affine core ops, those that gave it and nothing else."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for op, given in calls:
        for core in given:
            if OPS[core].affine is None or len(given) == 1:
                found[core].add(op)
    return found


def of_onnx() -> Iterator[Found]:
    """Calls of ONNX ops in the newest version of each, and those of a network that decodes."""
    for op in schemas.every():
        newest = max(schemas.versions(op))
        for case in schemas.cases(op):
            if case.opset == newest:
                yield from _of_model(schemas.proto(case, "float64"), op)
    yield from _of_model(onnx.load(str(DECODER)))


def _of_model(model: onnx.ModelProto, function: str = "") -> Iterator[Found]:
    """``function``: what nodes belong to that the model's own nodes are expanded to."""
    try:
        graph = lower_onnx(model).graph
    except MalformedError:
        return
    ops = {node.name or node.output[0]: node.op_type for node in model.graph.node}
    if graph is not None:
        yield from _calls(graph, ops, function)


def of_torch() -> Iterator[Found]:
    """Calls of PyTorch's ops, without overloads, in tables of them and networks that decode."""
    example = torch.zeros(SHAPE, dtype=torch.float64)
    for table in (UNARY, BINARY, LOGIC, MOVES, WHOLE):
        together = [*table.values()]
        yield from _of_module(Function(lambda x, all=together: tuple(f(x) for f in all)), example)
    for module in (Decoder(), Greedy(1)):
        yield from _of_module(module, torch.zeros(1, 5, dtype=torch.int64))


def _of_module(module: Any, example: torch.Tensor) -> Iterator[Found]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = export(module, (example,))
    graph, unsupported = lower_torch(program)
    assert graph is not None, unsupported
    ops = {
        node.name: str(node.target).removeprefix("aten.").split(".")[0]
        for node in program.graph.nodes
        if node.op == "call_function"
    }
    yield from _calls(graph, ops)


def _calls(graph: Graph, ops: Mapping[str, str], otherwise: str = "") -> Iterator[Found]:
    """By the names that core nodes keep of the nodes they come from."""
    given: defaultdict[str, set[str]] = defaultdict(set)
    for node in graph.nodes:
        if node.op != "input" and not _constant(node):
            given[node.name if node.name in ops else ""].add(node.op)
    for name, cores in given.items():
        op = ops.get(name, otherwise)
        if op:
            yield op, frozenset(cores)


def _constant(node: Node) -> bool:
    """Whether it reads nothing of its operand."""
    return node.op == "gather" and bool((node.consts["index"].value < 0).all())
