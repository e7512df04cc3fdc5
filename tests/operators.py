"""docs/operators.md, out of the tables of the front-ends, the core, the domains and the checker.

``python tests/operators.py`` writes it; a test compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from elementwise import CASES
from jointmodels import JOINT
from lowered import by_core_op, of_onnx, of_torch

from absint.domains.arrays import numpy_arrays
from absint.domains.bilinear import bilinear
from absint.domains.zonotope import Zonotopes
from absint.frontends.onnx import registry as onnx_table
from absint.frontends.torch import registry as torch_table
from absint.ir import OPS, GraphBuilder, Node, Steps
from absint.ir.graph import Attribute
from absint.ir.ops import Op
from absint.proofs.transformers.affine import AFFINE_OPS
from absint.proofs.transformers.joint import JOINT_OPS
from absint.proofs.transformers.univariate import UNIVARIATE_OPS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operators.md"

HEAD = """# Operators

Written by `python tests/operators.py` out of the tables in the code; a test compares.

## The core

Front-ends lower to these; the domains and the checker know nothing else.

Every op has an interval (a box of its values) in the search and in the checker.

- *ONNX*, *PyTorch*: what lowers to it, alone or with others (to an affine op: alone), found by
  lowering the tests' cases; all that is supported is listed below. An op without any is formed of
  others after lowering (`absint/ir/blocks`).
- *linear*: *exact* for affine maps; *lines* (or *planes*, for a product of two variables) bound
  the op from both sides by linear functions of its operands; *cut*: its interval alone.
- *zonotope*: *exact* for affine maps; *band*: a linear function of the operands, and a new symbol
  for the rest of each entry; *cut*: its interval alone.
- *checker*: whether `absint check` has a rule of its own.

| op | kind | ONNX | PyTorch | interval | linear | zonotope | checker | notes |
|---|---|---|---|---|---|---|---|---|
"""
ONNX_HEAD = f"""
## ONNX

Opsets {onnx_table.MIN_OPSET} to {onnx_table.MAX_OPSET}. Functions of the model,
branches and loops of a constant number of rounds are lowered in place. "Constant"
means: the same for every input of the network. Everything else that a model holds is listed by
`absint inspect`, with the node. Inputs of type int32 and int64 are token ids, which only look-ups
read.

| op | limits |
|---|---|
"""
TORCH_HEAD = """
## PyTorch

The ops of `torch.export`, without `aten.`:

"""

ONLY_CONSTANTS = "of constants"
LIMITS: Mapping[str, str] = {
    **dict.fromkeys(
        (*("Mod", "NonZero", "OneHot", "Range"),),
        ONLY_CONSTANTS,
    ),
    "Attention": "constant masks; no `nonpad_kv_seqlen`; a row may not be masked wholly",
    "BatchNormalization": "inference; constant parameters",
    "Cast": "of variables: to float32, float64, bool, and to types that hold every value",
    "CastLike": "of variables: to float32, float64, bool, and to types that hold every value",
    "Compress": "a constant condition",
    "Conv": "a constant kernel",
    "ConvTranspose": "a constant kernel",
    "CumSum": "a constant axis; not of constant floats",
    "DequantizeLinear": "(u)int8 and (u)int16; constant scales; no blocks",
    "Dropout": "inference",
    "Gather": "constant indices, or token ids into a constant table",
    "GatherElements": "constant indices",
    "GatherND": "constant indices",
    "GRU": "constant weights; full lengths; sigmoid, tanh, relu; no clip; `layout=0`",
    "GroupNormalization": "constant scale and bias",
    "If": "of a condition that depends on the input, both branches are computed",
    "InstanceNormalization": "constant scale and bias",
    "IsNaN": "false",
    "LRN": "beta a multiple of 1/4",
    "LSTM": "constant weights; full lengths; sigmoid, tanh, relu; no clip; `layout=0`",
    "Loop": "trip count and conditions constant",
    "LpPool": "p 1 and 2; no `ceil_mode`",
    "GlobalLpPool": "p 1 and 2",
    "MaxPool": "without indices",
    "PRelu": "constant slopes",
    "Pad": "modes constant, reflect, edge",
    "Pow": "a constant exponent (an integer or half of one), or a positive constant base",
    "QLinearMatMul": "one constant scale an operand",
    "QuantizeLinear": "(u)int8 and (u)int16; constant scales; no blocks",
    "RNN": "constant weights; full lengths; sigmoid, tanh, relu; no clip; `layout=0`",
    "Resize": "modes nearest and linear, constant scales or sizes; no antialias",
    "ReverseSequence": "constant lengths",
    "Scan": "since opset 9",
    "ScatterElements": "constant indices; no reduction",
    "ScatterND": "constant indices; no reduction",
    "Softmax": "additive and selected masks of -inf (or at most -1e30) become its index set",
    "TopK": "variables: k=1",
    "Upsample": "modes nearest and linear, constant scales",
    "Where": "a mask of -inf with a constant condition",
}
_SAMPLE: Mapping[str, Attribute] = {"alpha": 0.5, "lower": -1.0, "upper": 1.0, "exponent": 2}


def _linear(name: str) -> str:
    op = OPS[name]
    if op.affine is not None:
        return "exact"
    builder = GraphBuilder()
    x = builder.input("x", (2, 2))
    if op.univariate is not None:
        attrs = {key: _SAMPLE[key] for key in op.attributes}
        node = builder.nodes[builder.add(name, [x], attrs=attrs)]
        return "cut" if isinstance(op.univariate.facts(node), Steps) else "lines"
    node = Node(name, (x,) * 2, ((2, 2),) * 2, {}, {}, (2, 2))
    box = (np.zeros((1, 2, 2)), np.ones((1, 2, 2)))
    return "cut" if bilinear(node, [box, box], numpy_arrays()) is None else "planes"


def _zonotope(name: str) -> str:
    """Whether what an op leaves depends on its operands' symbols."""
    if OPS[name].affine is not None:
        return "exact"
    case = next(case for case in (*JOINT, *CASES.values()) if case.op == name)
    graph = case.graph()
    if name == "embedding":
        return "cut"
    low = np.linspace(0.2, 1.0, graph.input_size)[None]
    box = low, low + 0.01
    form = Zonotopes(graph, box, numpy_arrays()).forms[graph.outputs[0].node]
    shared = form.generators[:, form.symbols < graph.input_size]
    return "band" if np.abs(shared).max(initial=0.0) > 0 else "cut"


def _core() -> Iterator[str]:
    checked = AFFINE_OPS | set(UNIVARIATE_OPS) | JOINT_OPS
    onnx_ops, torch_ops = by_core_op(of_onnx()), by_core_op(of_torch())
    for name, op in OPS.items():
        if name == "input":
            continue
        kind = "affine" if op.affine else "one variable" if op.univariate else "several variables"
        sources = f"{_listed(onnx_ops[name])} | {_listed(torch_ops[name])}"
        rules = f"yes | {_linear(name)} | {_zonotope(name)} | {'yes' if name in checked else 'no'}"
        yield f"| {name} | {kind} | {sources} | {rules} | {_notes(op)} |"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _notes(op: Op) -> str:
    """What a node of the op holds beside its operands."""
    constants = [*op.constants, *(f"{name} (optional)" for name in op.optional)]
    parts = {"attributes": op.attributes, "constants": constants}
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)


def page() -> str:
    """The text of docs/operators.md."""
    onnx_rows = (f"| {op} | {LIMITS.get(op, '')} |" for op in sorted(onnx_table.RULES))
    names = sorted({name.removeprefix("aten.").split(".")[0] for name in torch_table.RULES})
    parts = [
        HEAD + "\n".join(_core()),
        ONNX_HEAD + "\n".join(onnx_rows),
        TORCH_HEAD + ", ".join(f"`{name}`" for name in names) + ".",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
