"""The conformance models that come with ``onnx`` (onnx.backend.test), and their verdicts.

The operands of a case are variables, constants, or some of each: a rule treats them differently.
"""

from __future__ import annotations

import functools
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from absint.frontends.lowering.values import MalformedError
from absint.frontends.onnx.lower import lower
from absint.frontends.onnx.registry import MAX_OPSET, MIN_OPSET, RULES
from absint.ir import evaluate

FLOAT_KINDS = (TensorProto.FLOAT, TensorProto.DOUBLE)


@dataclass(frozen=True)
class Verdict:
    """``outcome``: passed, skipped or failed; ``reason`` of the last two."""

    case: str
    outcome: str
    reason: str = ""


@functools.cache
def cases() -> dict[str, list[Any]]:
    """The cases of one node, by its op; for the ops in the table."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    result: dict[str, list[Any]] = {op: [] for op in RULES}
    for case in found:
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].op_type in result and not nodes[0].domain:
            result[nodes[0].op_type].append(case)
    return result


def run(case: Any) -> Verdict:
    """Passed where some choice of variables lowers, and every one that does agrees."""
    reasons: list[str] = []
    passed = False
    for inputs, expected in case.data_sets:
        for variables in _choices(case.model, len(inputs)):
            try:
                outcome = _agrees(case, inputs, expected, variables)
            except MalformedError as error:
                refused = any(text in str(error) for text in REFUSED)
                outcome = str(error) if refused else f"failed: {sorted(variables)}: {error}"
            if outcome == "":
                passed = True
            else:
                reasons.append(outcome)
    failures = [reason for reason in reasons if reason.startswith("failed")]
    if failures:
        return Verdict(case.name, "failed", failures[0])
    if passed:
        return Verdict(case.name, "passed")
    telling = [reason for reason in reasons if "constant" not in reason] or reasons
    return Verdict(case.name, "skipped", telling[-1])


REFUSED = ("NaN or infinity", "is empty", "empty tensor", "there is no attribute")
"""Models that count as not valid on purpose; attributes newer than the opsets supported."""


def _choices(model: onnx.ModelProto, count: int) -> Iterator[frozenset[str]]:
    """Which inputs vary: all of a float type, the first of them, each of the others, none."""
    floats = [
        info.name
        for info in model.graph.input[:count]
        if info.type.tensor_type.elem_type in FLOAT_KINDS
    ]
    choices = [floats, floats[:1], floats[1:2], []]
    yield from dict.fromkeys(frozenset(choice) for choice in choices)


def _agrees(case: Any, inputs: Any, expected: Any, variables: frozenset[str]) -> str:
    """Empty where the lowering agrees with the expected outputs; else why not, or why not run."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    infos = list(model.graph.input)
    kinds = np.ndarray | np.generic | onnx.TensorProto
    if not all(isinstance(value, kinds) for value in (*inputs, *expected)):
        return "an operand that is no tensor"
    for entry in model.opset_import:
        entry.version = max(MIN_OPSET, min(entry.version, MAX_OPSET))
    expected = [_array(value) for value in expected]
    flat = _split(model, infos, inputs, variables)
    _float_outputs(model, not variables)
    lowered = lower(model)
    if lowered.graph is None:
        return lowered.unsupported[0].what
    x = np.concatenate(flat)[None] if flat else np.zeros((1, 1))
    with np.errstate(all="ignore"):
        y = evaluate(lowered.graph, x)[0]
    truth = np.concatenate([np.asarray(e, dtype=np.float64).reshape(-1) for e in expected])
    places = np.cumsum([0] + [port.size for port in lowered.graph.outputs])
    if len(y) != len(truth):
        return f"failed: {len(y)} outputs, not {len(truth)}"
    shapes = [port.shape for port in lowered.graph.outputs]
    if shapes != [np.asarray(e).shape for e in expected]:
        return f"failed: shapes {shapes}"
    close = np.isclose(y, truth, rtol=case.rtol, atol=max(case.atol, 1e-6), equal_nan=True)
    if not close.all():
        at = int(np.flatnonzero(~close)[0])
        which = int(np.searchsorted(places, at, side="right")) - 1
        return f"failed: {sorted(variables)}: output {which} is {y[at]}, not {truth[at]}"
    return ""


def _array(value: Any) -> np.ndarray[Any, Any]:
    if isinstance(value, onnx.TensorProto):
        return np.asarray(numpy_helper.to_array(value))
    return np.asarray(value)


def _split(
    model: onnx.ModelProto, infos: Any, inputs: Any, variables: frozenset[str]
) -> list[np.ndarray[Any, Any]]:
    """Makes every input constant that is not to vary; the flat values of the others."""
    del model.graph.input[:]
    flat = []
    for info, value in zip(infos, inputs, strict=False):
        if info.name in variables:
            model.graph.input.append(info)
            flat.append(_array(value).astype(np.float64).reshape(-1))
        else:
            tensor = onnx.TensorProto()
            if isinstance(value, onnx.TensorProto):
                tensor.CopyFrom(value)
            else:
                tensor.CopyFrom(numpy_helper.from_array(np.asarray(value)))
            tensor.name = info.name
            model.graph.initializer.append(tensor)
    if not flat:
        model.graph.input.append(helper.make_tensor_value_info("unused", TensorProto.FLOAT, [1]))
    return flat


def _float_outputs(model: onnx.ModelProto, constant: bool) -> None:
    """Constant outputs of other types, as floats: a graph has no others."""
    for info in model.graph.output:
        kind = info.type.tensor_type.elem_type
        if constant and kind not in FLOAT_KINDS and kind != TensorProto.UNDEFINED:
            name = info.name
            info.name, info.type.tensor_type.elem_type = f"{name}_float", TensorProto.DOUBLE
            node = helper.make_node("Cast", [name], [info.name], to=TensorProto.DOUBLE)
            model.graph.node.append(node)


def report() -> Counter[str]:
    """How many cases passed, were skipped, failed."""
    return Counter(run(case).outcome for group in cases().values() for case in group)
