"""Sub-graphs and functions: lowered in place, in a scope of their own."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx

from absint.frontends.lowering.values import NotLoweredError, Unknown, Value, require
from absint.frontends.onnx.names import place
from absint.frontends.onnx.tensors import constant
from absint.frontends.onnx.walk import Walk

Step = Callable[[Walk, onnx.NodeProto, str], None]
"""Lowers one node within a scope; the text is the node's place."""
MAX_DEPTH = 16


class FoundInsideError(Exception):
    """Something in a sub-graph or function is not supported, and is listed already."""


@dataclass(frozen=True)
class Scope:
    """What a rule needs to lower the sub-graphs of its node."""

    walk: Walk
    where: str
    step: Step

    def graph(self, body: onnx.GraphProto, operands: Sequence[Value]) -> tuple[Value, ...]:
        """The outputs of a sub-graph, which sees the names around it.

        Raises FoundInsideError where something in it is not supported.
        """
        require(len(body.input) == len(operands), "a sub-graph with another number of inputs")
        inner = self._inner(ChainMap({}, dict(self.walk.values)), self.walk.opset)
        for tensor in body.initializer:
            inner.values[tensor.name] = constant(tensor)
        for info, value in zip(body.input, operands, strict=True):
            inner.values[info.name] = value
        return self._run(inner, body.node, [info.name for info in body.output])

    def function(
        self, body: onnx.FunctionProto, call: onnx.NodeProto, operands: Sequence[Value | None]
    ) -> tuple[Value, ...]:
        """The outputs of a function called by the node ``call``. Raises as ``graph`` does."""
        versions = {entry.domain: entry.version for entry in body.opset_import}
        opset = versions.get("", versions.get("ai.onnx", self.walk.opset))
        require(len(operands) <= len(body.input), "a function called with too many operands")
        given = dict(zip(body.input, operands, strict=False))
        values = {name: value for name, value in given.items() if value is not None}
        inner = self._inner(ChainMap(dict(values)), opset)
        missing = set(body.input) - set(values)
        nodes = [_bound(node, body, call, missing) for node in body.node]
        return self._run(inner, nodes, list(body.output))

    def _inner(self, values: ChainMap[str, Value | Unknown], opset: int) -> Walk:
        inner = self.walk.child(values, opset)
        if inner.depth > MAX_DEPTH:
            raise NotLoweredError(f"more than {MAX_DEPTH} sub-graphs within each other")
        return inner

    def _run(
        self, inner: Walk, nodes: Iterable[onnx.NodeProto], outputs: Sequence[str]
    ) -> tuple[Value, ...]:
        nodes = list(nodes)
        inner.count_uses(nodes)
        inner.uses.update(outputs)
        for index, node in enumerate(nodes):
            self.step(inner, node, f"{self.where}, {place(node, index)} inside")
        results: list[Value] = []
        for name in outputs:
            require(name in inner.values, "an output of a sub-graph that no node defines")
            value = inner.values[name]
            if isinstance(value, Unknown):
                raise FoundInsideError
            results.append(value)
        return tuple(results)


def _bound(
    node: onnx.NodeProto, body: onnx.FunctionProto, call: onnx.NodeProto, missing: set[str]
) -> onnx.NodeProto:
    """A function's node with the caller's attributes (or their defaults) in place."""
    given = {attribute.name: attribute for attribute in body.attribute_proto}
    given.update({attribute.name: attribute for attribute in call.attribute})
    return _substituted(node, given, missing)


def _substituted(
    node: onnx.NodeProto, given: Mapping[str, onnx.AttributeProto], missing: set[str]
) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = ["" if name in missing else name for name in node.input]
    del copy.attribute[:]
    for attribute in node.attribute:
        if attribute.ref_attr_name and attribute.ref_attr_name not in given:
            continue
        new = copy.attribute.add()
        new.CopyFrom(given.get(attribute.ref_attr_name, attribute))
        new.name = attribute.name
        if attribute.HasField("g"):
            inner = [_substituted(n, given, missing) for n in attribute.g.node]
            del new.g.node[:]
            new.g.node.extend(inner)
    return copy
