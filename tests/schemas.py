"""Models of one node for every op of the ONNX front-end, out of the operators' schemas.

For each version of an op's schema: each set of operands, alone and with each attribute at each of
its values. onnxruntime says what is valid and what is true; nothing here decides that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, defs, helper
from onnxmodels import Array, Var, error_bounds, real, saved, single, var

from absint.frontends.onnx import load
from absint.frontends.onnx.registry import MAX_OPSET, MIN_OPSET, RULES
from absint.frontends.runtime import OnnxRuntime
from absint.ir.evaluate import outputs, run
from absint.problem import InputError, UnsupportedError

Operand = Var | Array | None
Values = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Row:
    """An op's operands, the attributes that it needs, and values to try of the others."""

    operands: Sequence[tuple[Operand, ...]]
    needs: Mapping[str, Any] = field(default_factory=dict)
    tries: Values = field(default_factory=dict)
    positive: bool = False
    """Whether its operands must be."""


@dataclass(frozen=True)
class Case:
    op: str
    opset: int
    operands: tuple[Operand, ...]
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        shown = [
            "none" if o is None else str(tuple(o)) if isinstance(o, Var) else f"constant {o.shape}"
            for o in self.operands
        ]
        return f"{self.op}-{self.opset} of {', '.join(shown)} with {dict(self.attributes)}"


def ints(*values: int) -> Array:
    return np.array(values, dtype=np.int64)


def whole(value: int) -> Array:
    return np.array(value, dtype=np.int64)


def bools(*values: int) -> Array:
    return np.array(values, dtype=np.bool_)


SHAPES: list[tuple[Operand, ...]] = [
    (var(),), (var(1),), (var(3),), (var(1, 4),), (var(2, 1, 3),), (var(1, 2, 3, 2),)
]  # fmt: skip
PAIRS: list[tuple[Operand, ...]] = [
    (var(3), var(3)),
    (var(2, 3), var(1, 3)),
    (var(2, 1), var(1, 4)),
    (var(2, 3), var(3)),
    (var(3), var(2, 1, 3)),
    (var(1, 2, 1, 3), var(2, 1)),
    (var(2, 3), var()),
    (var(2, 3), real(1, 2, 3)),
    (real(2, 3), var(2, 1)),
    (var(2, 3), np.array(-1.5)),
]
AXES = (-4, -3, -2, -1, 0, 1, 2, 3)
FLAGS = (0, 1)
IMAGES: list[tuple[Operand, ...]] = [(var(1, 2, 5),), (var(1, 2, 4, 5),), (var(2, 1, 3, 3),)]
POOLS: Values = {
    "auto_pad": ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"),
    "ceil_mode": FLAGS,
    "count_include_pad": FLAGS,
    "dilations": ([1, 1], [2, 1]),
    "kernel_shape": ([1, 1], [3, 2], [2]),
    "pads": ([0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1]),
    "strides": ([1, 1], [2, 1], [3, 2]),
    "storage_order": FLAGS,
    "p": (1, 2, 3),
}
REDUCED = Row(
    [*SHAPES[1:], (var(2, 3, 2), ints(1)), (var(2, 3, 2), ints(-1, 0)), (var(2, 3), ints())],
    tries={
        "axes": ([0], [-1], [1, 2], [0, -1]),
        "keepdims": FLAGS,
        "noop_with_empty_axes": FLAGS,
    },
)
EXTREME = Row(SHAPES[1:], tries={"axis": AXES, "keepdims": FLAGS, "select_last_index": FLAGS})
COMPARED = Row(
    [(real(1, 2, 3), real(2, 2, 3)), (real(1, 2, 3), real(2, 3)), (ints(1, 2), ints(2, 2))]
)
LOGICAL = Row([(bools(0, 1, 1), bools(1, 1, 0)), (bools(0, 1), bools(1))])
SHAPE_OF = Row(SHAPES, tries={"start": (-1, 0, 1, 9), "end": (-1, 0, 2, 9)})


def unary(positive: bool = False, **tries: Sequence[Any]) -> Row:
    return Row(SHAPES, tries=tries, positive=positive)


def recurrent(gates: int) -> Row:
    h, n, t = 2, 1, 3
    w, r = real(1, 1, gates * h, 2) / 2, real(2, 1, gates * h, h) / 2
    state = real(4, 1, n, h)
    x = var(t, n, 2)
    return Row(
        [
            (x, w, r),
            (x, w, r, real(3, 1, 2 * gates * h)),
            (x, w, r, None, np.array([t], np.int32)),
            (x, w, r, None, None, state),
            (x, w, r, None, None, state, *([real(5, 1, n, h)] if gates == 4 else [])),
        ],
        {"hidden_size": h},
        {
            "activation_alpha": ([0.5],),
            "activation_beta": ([0.5],),
            "activations": (["Sigmoid", "Tanh", "Tanh"][: {1: 1, 3: 2, 4: 3}[gates]], ["Relu"]),
            "clip": (0.5,),
            "direction": ("forward", "reverse", "bidirectional"),
            "input_forget": FLAGS,
            "layout": FLAGS,
            "linear_before_reset": FLAGS,
        },
    )


NORM: Values = {"axis": AXES, "epsilon": (1e-5, 0.5), "stash_type": (1,)}
TYPES = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT64)

TABLE: dict[str, Row] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean"), Row(PAIRS)),
    "Div": Row(PAIRS, positive=True),
    "Pow": Row([(var(2, 3), np.array(e)) for e in (2.0, 3.0, 0.5, -1.0, 1.0, 0.0)], positive=True),
    **dict.fromkeys(
        (
            *("Abs", "Ceil", "Cos", "Cosh", "Erf", "Exp", "Floor", "HardSwish", "Identity"),
            *("Mish", "Neg", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus"),
            *("Softsign", "Tan", "Tanh"),
        ),
        unary(),
    ),
    **dict.fromkeys(("Log", "Sqrt", "Reciprocal"), unary(positive=True)),
    "Celu": unary(alpha=(1.0, 0.5)),
    "Elu": unary(alpha=(1.0, 0.5, 2.0)),
    "Selu": unary(alpha=(1.5,), gamma=(1.0, 2.0)),
    "LeakyRelu": unary(alpha=(0.01, 0.0, 1.5, -0.5)),
    "Gelu": unary(approximate=("none", "tanh")),
    "HardSigmoid": unary(alpha=(0.2, 0.5), beta=(0.5, 0.25)),
    "Swish": unary(alpha=(1.0, 0.5, -1.0, 0.0)),
    "Clip": Row(
        [
            *SHAPES,
            (var(3), np.array(-0.5)),
            (var(3), None, np.array(0.5)),
            (var(3), np.array(-0.5), np.array(0.5)),
        ],
        tries={"min": (-0.5,), "max": (0.5,)},
    ),
    "PRelu": Row([(var(2, 3), real(1, 3)), (var(2, 3), real(1, 1)), (var(1, 2, 3), real(1, 2, 1))]),
    **dict.fromkeys((f"Reduce{name}" for name in ("L1", "Max", "Mean", "Min", "Sum")), REDUCED),
    **dict.fromkeys(
        (f"Reduce{name}" for name in ("L2", "LogSumExp", "Prod", "SumSquare")), REDUCED
    ),
    "ReduceLogSum": Row(REDUCED.operands, tries=REDUCED.tries, positive=True),
    "ArgMax": EXTREME,
    "ArgMin": EXTREME,
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), COMPARED),
    **dict.fromkeys(("And", "Or", "Xor"), LOGICAL),
    "Not": Row([(bools(0, 1),)]),
    "IsNaN": Row(SHAPES),
    "Mod": Row([(ints(5, -5), ints(3, 3)), (real(1, 3), real(2, 3))], tries={"fmod": FLAGS}),
    "NonZero": Row([(ints(0, 2, 0, 1),), (ints(0, 1, 1, 0).reshape(2, 2),)]),
    "Range": Row([(whole(0), whole(5), whole(2)), (whole(3), whole(0), whole(-1))]),
    "OneHot": Row([(ints(0, 2, -1), whole(3), ints(0, 1))], tries={"axis": (-2, -1, 0, 1)}),
    "EyeLike": Row([(var(2, 3),)], tries={"dtype": TYPES, "k": (-1, 0, 1)}),
    "Shape": SHAPE_OF,
    "Size": Row(SHAPES),
    "Cast": Row(SHAPES[1:3], {"to": TensorProto.FLOAT}, {
        "to": TYPES, "saturate": FLAGS, "round_mode": ("up", "down", "nearest")}),
    "CastLike": Row([(var(3), np.zeros(1))], tries={
        "saturate": FLAGS, "round_mode": ("up", "down", "nearest")}),
    "Softmax": unary(axis=AXES),
    "LogSoftmax": unary(axis=AXES),
    "Flatten": unary(axis=(*AXES, 4)),
    "Transpose": Row(SHAPES, tries={"perm": ([1, 0], [0, 2, 1], [2, 0, 1], [3, 1, 0, 2])}),
    "Concat": Row([(var(2, 3),), (var(2, 3), var(2, 3)), (var(1, 2, 2), real(1, 1, 2, 2))],
                  {"axis": 0}, {"axis": AXES}),
    "Squeeze": Row([(var(1, 2, 1),), (var(1, 2, 1), ints(0)), (var(1, 2, 1), ints(-1, 0))],
                   tries={"axes": ([0], [2], [-1], [0, 2])}),
    "Unsqueeze": Row([(var(2, 3),), (var(2, 3), ints(0)), (var(2, 3), ints(-1, 1))],
                     {"axes": [0]}, {"axes": ([0], [3, 0], [-1], [1, -1])}),
    "Reshape": Row([(var(2, 6), ints(3, 4)), (var(2, 6), ints(0, -1)), (var(2, 6), ints(-1)),
                    (var(1, 1), ints())], tries={"allowzero": FLAGS}),
    "Expand": Row([(var(3), ints(2, 3)), (var(2, 1), ints(1, 4)), (var(), ints(2))]),
    "Tile": Row([(var(2, 3), ints(2, 1)), (var(2, 3), ints(1, 3)), (var(3), ints(2))]),
    "Slice": Row([(var(4, 5),), (var(4, 5), ints(1), ints(3)), (var(4, 5), ints(-3), ints(99)),
                  (var(4, 5), ints(0, 1), ints(3, 5), ints(1, 0)),
                  (var(4, 5), ints(-1), ints(-99), ints(-1), ints(-2)),
                  (var(4, 5), ints(1), ints(4), None, ints(2))],
                 {"starts": [1], "ends": [3]},
                 {"axes": ([0], [1], [-1]), "starts": ([0], [-2]), "ends": ([2], [99], [-1])}),
    "Split": Row([(var(4, 6),), (var(4, 6), ints(1, 3)), (var(4, 5), ints(2, 2))], {}, {
        "axis": AXES, "num_outputs": (2,), "split": ([1, 3], [2, 2])}),
    "Gather": Row([(var(3, 4), ints(0, 2)), (var(3, 4), whole(-1)),
                   (var(2, 3, 2), ints(1, 0, 1, 1).reshape(2, 2))], tries={"axis": AXES}),
    "GatherElements": Row([(var(2, 3), ints(0, 1, 1, 0).reshape(2, 2)),
                           (var(3), ints(-1, 0, 2))], tries={"axis": (-2, -1, 0, 1)}),
    "GatherND": Row([(var(2, 3), ints(1, 0).reshape(1, 2)), (var(2, 3), ints(1, -1).reshape(2, 1)),
                     (var(2, 3, 2), ints(1, 0).reshape(2, 1))], tries={"batch_dims": (0, 1)}),
    "ScatterElements": Row([(var(2, 3), ints(0, 2).reshape(1, 2), var(1, 2)),
                            (var(4), ints(-1, 0), real(1, 2))],
                           tries={"axis": (-2, -1, 0, 1),
                                  "reduction": ("none", "add", "mul", "max", "min")}),
    "ScatterND": Row([(var(4), ints(3, 1).reshape(2, 1), var(2)),
                      (var(2, 3), ints(0, -1).reshape(1, 2), real(1, 1))],
                     tries={"reduction": ("none", "add", "mul", "max", "min")}),
    "Compress": Row([(var(3, 2), bools(1, 0, 1)), (var(3, 2), bools(0, 1))],
                    tries={"axis": (-2, -1, 0, 1)}),
    "ReverseSequence": Row([(var(3, 2), ints(3, 1)), (var(3, 3), ints(1, 2, 3))],
                           tries={"batch_axis": (0, 1), "time_axis": (0, 1)}),
    "CumSum": Row([(var(2, 3), whole(a)) for a in (-2, -1, 0, 1)] + [(var(3), whole(0))],
                  tries={"exclusive": FLAGS, "reverse": FLAGS}),
    "Trilu": Row([(var(3, 3),), (var(2, 3), whole(1)), (var(2, 3, 2), whole(-1))],
                 tries={"upper": FLAGS}),
    "DepthToSpace": Row([(var(1, 8, 2, 3),)], {"blocksize": 2}, {
        "mode": ("DCR", "CRD"), "blocksize": (1, 2)}),
    "SpaceToDepth": Row([(var(1, 2, 4, 2),)], {"blocksize": 2}, {"blocksize": (1, 2)}),
    "Where": Row([(bools(1, 0, 1), var(3), var(3)), (bools(1, 0), var(3, 1), var(1, 2)),
                  (bools(1, 0, 1), var(3), real(1, 3))]),
    "TopK": Row([(var(2, 4),), (var(2, 4), ints(1)), (var(2, 4), ints(2))], {"k": 1}, {
        "axis": (-2, -1, 0, 1), "largest": FLAGS, "sorted": FLAGS, "k": (1, 2)}),
    "Dropout": Row([(var(2, 3),), (var(3), np.array(0.5)), (var(3), None, np.array(False))],
                   tries={"ratio": (0.1, 0.9), "seed": (7,)}),
    "Constant": Row([()], {}, {
        "value": (helper.make_tensor("v", TensorProto.DOUBLE, [2], [1.5, -2.0]),),
        "value_float": (0.1,), "value_floats": ([0.1, 2.0],), "value_int": (3,),
        "value_ints": ([1, -2],), "value_string": ("a",), "value_strings": (["a"],)}),
    "ConstantOfShape": Row([(ints(2, 3),), (ints(1),)], tries={
        "value": (helper.make_tensor("v", TensorProto.DOUBLE, [1], [2.5]),)}),
    "MatMul": Row([(var(2, 3), var(3, 4)), (var(2, 3), real(1, 3, 2)), (var(3), real(1, 3, 2)),
                   (var(2, 2, 3), var(3, 2)), (var(3), var(3)), (var(1, 3), var(2, 3, 1)),
                   (real(1, 2, 3), var(3))]),
    "Gemm": Row([(var(2, 3), real(1, 3, 4)), (var(3, 3), real(1, 3, 3), real(2, 3)),
                 (var(2, 2), var(2, 2), var(2, 2)), (var(2, 3), real(1, 3, 4), np.array(0.5))],
                tries={"alpha": (0.5, -2.0), "beta": (0.0, 3.0), "transA": FLAGS, "transB": FLAGS}),
    "Einsum": Row([(var(2, 3), var(3, 2))], {"equation": "ij,jk->ik"}, {
        "equation": ("ij,jk", "ij,jk->ki", "ij,ji->", "ij,jk->ijk", "...j,jk->...k")}),
    "Conv": Row([(var(1, 2, 5), real(1, 2, 2, 2)), (var(1, 2, 4, 5), real(1, 2, 2, 3, 2)),
                 (var(1, 2, 4, 5), real(1, 2, 1, 3, 2), real(2, 2))], {}, {
        **POOLS, "group": (1, 2)}),
    "ConvTranspose": Row([(var(1, 2, 3), real(1, 2, 2, 2)), (var(1, 2, 3, 4), real(1, 2, 2, 3, 2)),
                          (var(1, 2, 3, 4), real(1, 2, 1, 3, 2), real(2, 1))], {}, {
        **POOLS, "group": (1, 2), "output_padding": ([0, 0], [1, 0]),
        "output_shape": ([5, 5], [6, 7])}),
    **dict.fromkeys(("AveragePool", "MaxPool", "LpPool"), Row(
        IMAGES[1:], {"kernel_shape": [2, 2]}, POOLS)),
    "GlobalAveragePool": Row(IMAGES),
    "GlobalMaxPool": Row(IMAGES),
    "GlobalLpPool": Row(IMAGES, tries={"p": (1, 2, 3)}),
    "Pad": Row([(var(2, 3),), (var(2, 3), ints(1, 0, 0, 2)), (var(2, 3), ints(0, -1, 1, 0)),
                (var(2, 3), ints(1, 1, 1, 1), np.array(0.5)),
                (var(2, 3), ints(1, 2), None, ints(-1))],
               {"pads": [1, 0, 0, 2]}, {
        "mode": ("constant", "reflect", "edge", "wrap"), "value": (0.5,),
        "pads": ([0, -1, 1, 0], [1, 1, 1, 1])}),
    "Upsample": Row([(var(1, 1, 2, 3),), (var(1, 1, 2, 3), np.array([1, 1, 2, 3], np.float32))],
                    {"scales": [1.0, 1.0, 2.0, 2.0]}, {
        "mode": ("nearest", "linear"), "scales": ([1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.5, 1.0])}),
    "Resize": Row([
        (var(1, 1, 3, 4), np.array([1, 1, 2, 1.5], np.float32)),
        (var(1, 1, 3, 4), None, np.array([1, 1, 2, 1.5], np.float32)),
        (var(1, 1, 3, 4), None, np.array([1, 1, 0.6, 0.5], np.float32)),
        (var(1, 1, 3, 4), None, None, ints(1, 1, 5, 3)),
    ], {}, {
        "antialias": FLAGS, "axes": ([2, 3],), "cubic_coeff_a": (-0.5,), "exclude_outside": FLAGS,
        "coordinate_transformation_mode": (
            "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
            "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"),
        "extrapolation_value": (1.0,), "mode": ("nearest", "linear", "cubic"),
        "keep_aspect_ratio_policy": ("stretch", "not_larger", "not_smaller"),
        "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")}),
    "BatchNormalization": Row([(var(2, 3, 2), *(real(i, 3) for i in (1, 2, 3)), np.ones(3)),
                               (var(2, 3), *(real(i, 3) for i in (1, 2, 3)), np.ones(3))],
                              tries={"epsilon": (1e-5, 0.5), "momentum": (0.5,),
                                     "spatial": FLAGS, "training_mode": FLAGS}),
    "InstanceNormalization": Row([(var(1, 2, 4), real(1, 2), real(2, 2)),
                                  (var(1, 2, 2, 3), real(1, 2), real(2, 2))],
                                 tries={"epsilon": (1e-5, 0.5)}),
    "GroupNormalization": Row([(var(1, 4, 3), real(1, n), real(2, n)) for n in (2, 4)],
                              {"num_groups": 2}, {"num_groups": (1, 2, 4), **NORM}),
    "LayerNormalization": Row([(var(2, 3), real(1, 3)), (var(2, 3), real(1, 3), real(2, 3)),
                               (var(2, 2, 3), real(1, 3)), (var(2, 2, 3), real(1, 2, 3))],
                              tries=NORM),
    "RMSNormalization": Row([(var(2, 3), real(1, 3)), (var(2, 2, 3), real(1, 2, 3))], tries=NORM),
    "MeanVarianceNormalization": Row([(var(2, 2, 2, 3),)], tries={"axes": ([0, 2, 3], [1], [-1])}),
    "LRN": Row([(var(1, 4, 2, 2),)], {"size": 3}, {
        "size": (1, 2, 3), "alpha": (0.1,), "beta": (0.5, 0.75), "bias": (2.0,)}),
    "Attention": Row([
        (var(1, 2, 3, 4), var(1, 2, 3, 4), var(1, 2, 3, 4)),
        (var(1, 4, 3, 2), var(1, 2, 3, 2), var(1, 2, 3, 2)),
        (var(1, 3, 4), var(1, 3, 4), var(1, 3, 4)),
        (var(1, 1, 2, 2), var(1, 1, 3, 2), var(1, 1, 3, 2), real(1, 2, 3)),
        (var(1, 1, 2, 2), var(1, 1, 2, 2), var(1, 1, 2, 2), None,
         real(1, 1, 1, 1, 2), real(2, 1, 1, 1, 2)),
    ], {}, {
        "is_causal": FLAGS, "kv_num_heads": (2,), "q_num_heads": (2,),
        "qk_matmul_output_mode": (0, 1, 2, 3), "scale": (0.5,), "softcap": (0.0, 1.5),
        "softmax_precision": (TensorProto.FLOAT,)}),
    "RotaryEmbedding": Row([
        (var(1, 2, 3, 4), real(1, 1, 3, 2), real(2, 1, 3, 2)),
        (var(1, 2, 3, 4), real(1, 5, 2), real(2, 5, 2), ints(0, 1, 2).reshape(1, 3)),
    ], {}, {"interleaved": FLAGS, "num_heads": (2,), "rotary_embedding_dim": (0, 2)}),
    "LSTM": recurrent(4),
    "GRU": recurrent(3),
    "RNN": recurrent(1),
    "QuantizeLinear": Row([(var(2, 3), np.array(0.1)), (var(2, 3), np.array(0.1), np.uint8(3))],
                          {}, {"axis": (-1, 0, 1), "block_size": (0, 2), "saturate": FLAGS,
                               "output_dtype": (0, TensorProto.INT8), "precision": (0, 1)}),
    "DequantizeLinear": Row([(np.array([1, -3, 5], np.int8), np.array(0.5)),
                             (np.array([1, 3, 5], np.uint8), np.array(0.5), np.uint8(3))],
                            {}, {"axis": (-1, 0), "block_size": (0, 2),
                                 "output_dtype": (0, TensorProto.FLOAT)}),
}  # fmt: skip

ELSEWHERE: Mapping[str, str] = {
    "If": "test_scopes.py: its attributes are graphs",
    "Loop": "test_scopes.py: its attributes are graphs",
    "Scan": "test_scopes.py: its attributes are graphs",
    "QLinearMatMul": "test_composed.py and the conformance models: no attributes",
}
WITHOUT_VALUES: Mapping[tuple[str, str], str] = {
    ("Constant", "sparse_value"): "test_constants.py: no value of an attribute can be made generic",
}


@cache
def versions(op: str) -> dict[int, Any]:
    """Opset to schema, for each version of an op's schema that the front-end claims."""
    found = {
        schema.since_version: schema
        for schema in defs.get_all_schemas_with_history()
        if schema.domain == "" and schema.name == op and schema.since_version <= MAX_OPSET
    }
    oldest = max((v for v in found if v <= MIN_OPSET), default=min(found))
    kept = sorted(v for v in found if v >= oldest and not found[v].deprecated)
    return {max(v, MIN_OPSET): found[v] for v in kept}


def cases(op: str) -> Iterator[Case]:
    """All cases of an op: versions x operands x (nothing, or one attribute at one value)."""
    row = TABLE[op]
    for opset, schema in versions(op).items():
        known = schema.attributes
        needs = {name: value for name, value in row.needs.items() if name in known}
        for operands in row.operands:
            if not schema.min_input <= len(operands) <= schema.max_input:
                continue
            yield Case(op, opset, operands, needs)
            for name in sorted(known):
                for value in row.tries.get(name, ()):
                    yield Case(op, opset, operands, {**needs, name: value})


INTEGRAL = {
    *("Shape", "Size", "NonZero", "Range", "OneHot", "And", "Or", "Xor", "Not"),
    *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mod", "IsNaN", "Cast"),
    *("Constant", "EyeLike"),
}
"""Ops whose result is no float, or is not always: it is added to a variable, as a float."""
FLOAT_CONSTANTS = {"Upsample", "Resize"}
"""Their constants are float32, whatever the network's type."""


def proto(case: Case, dtype: str) -> onnx.ModelProto:
    """The case's model in float32 or float64."""
    operands = tuple(
        o.astype(dtype)
        if isinstance(o, np.ndarray) and o.dtype == np.float64 and case.op not in FLOAT_CONSTANTS
        else o
        for o in operands_of(case)
    )
    count = 2 if case.op in ("Split", "TopK") else 1
    model = single(case.op, *operands, opset=case.opset, dtype=dtype, count=count)
    attributes = [helper.make_attribute(name, value) for name, value in case.attributes.items()]
    model.graph.node[0].attribute.extend(attributes)
    if case.op == "QuantizeLinear":
        _dequantized(model, len(operands))
    if case.op == "TopK":
        del model.graph.output[1]
    if case.op in ("ArgMax", "ArgMin"):
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    elif case.op in INTEGRAL or not any(isinstance(o, Var) for o in operands):
        _added_to_a_variable(model, dtype)
    return model


def operands_of(case: Case) -> tuple[Any, ...]:
    return tuple(np.asarray(o) if isinstance(o, np.generic) else o for o in case.operands)


def _dequantized(model: onnx.ModelProto, count: int) -> None:
    names = ["y0", *(f"x{i}" for i in range(1, count))]
    model.graph.node.append(
        helper.make_node("DequantizeLinear", names, ["real"], name="the_node_back")
    )
    model.graph.output[0].name = "real"


def _added_to_a_variable(model: onnx.ModelProto, dtype: str) -> None:
    kind = TensorProto.DOUBLE if dtype == "float64" else TensorProto.FLOAT
    name = model.graph.output[0].name
    model.graph.input.append(helper.make_tensor_value_info("free", kind, [1]))
    model.graph.node.append(
        helper.make_node("Cast", [name], ["cast"], name="the_node_cast", to=kind)
    )
    model.graph.node.append(helper.make_node("Add", ["cast", "free"], ["sum"], name="the_node_sum"))
    model.graph.output[0].name = "sum"


RUNTIME_ONLY = ("out of bounds", "repeat an axis")
"""Models that the schemas leave without a meaning, which onnxruntime runs: they are malformed."""
IN_SINGLE = ("Attention", "Gelu", "GroupNormalization")
"""Functions that onnxruntime expands with float32 constants and casts, whatever the type."""
_RECURRENT = {
    "attribute activation_alpha": "the activations that have one are not supported",
    "attribute activation_beta": "the activations that have one are not supported",
    "attribute clip": "no exporter writes it",
}
_SCATTERED = {f"reduction='{name}'": "scatters of constants only" for name in (
    "add", "mul", "max", "min")}  # fmt: skip
REFUSED: Mapping[str, Mapping[str, str]] = {
    "BatchNormalization": {"spatial=0": "gone since opset 9"},
    "Cast": {
        "conversion of the network's values to float16": "rounding is not part of the core",
        "conversion of the network's values to int64": "truncation is not part of the core",
    },
    "GRU": _RECURRENT,
    "RNN": _RECURRENT,
    "LSTM": {**_RECURRENT, "input_forget=1": "no exporter writes it"},
    "GlobalLpPool": {"p=3": "needs a root that is not part of the core"},
    "LpPool": {
        "p=3": "needs a root that is not part of the core",
        "ceil_mode=1": "runtimes differ on windows beyond the input",
    },
    "Pad": {
        "mode='wrap'": "no exporter writes it",
        "negative pads with mode='edge'": "runtimes differ",
        "negative pads with mode='reflect'": "runtimes differ",
    },
    "QuantizeLinear": {"attribute output_dtype": "the zero point says the type"},
    "Resize": {
        "tf_crop_and_resize": "needs a region of interest",
        "tf_half_pixel_for_nn": "deprecated since opset 13",
        "mode='cubic'": "no network of the benchmarks has it",
    },
    "ScatterElements": _SCATTERED,
    "ScatterND": _SCATTERED,
    "Shape": {"an empty tensor": "of start and end with nothing in between"},
    "TopK": {"the 2 largest entries": "sorting is not part of the core"},
}
"""By op: what a refusal says, and why it is one. A listed refusal that no longer happens fails."""


@dataclass(frozen=True)
class Verdict:
    """``outcome``: agrees, refused (named as unsupported), invalid (neither runs it), untested
    (the runtime has no kernel), or failed."""

    case: Case
    outcome: str
    reason: str = ""


def verdict(case: Case, folder: Path) -> Verdict:
    """What the front-end makes of a case, against onnxruntime in float64, or else in float32."""
    if case.op in IN_SINGLE:
        return _judge(case, "float32", folder)
    wide = _judge(case, "float64", folder)
    if wide.outcome not in ("untested", "invalid"):
        return wide
    narrow = _judge(case, "float32", folder)
    return wide if narrow.outcome == "invalid" else narrow


def _judge(case: Case, dtype: str, folder: Path) -> Verdict:
    path = saved(proto(case, dtype), folder)
    truth = _runs(path)
    try:
        model = load(path)
    except UnsupportedError as error:
        return Verdict(case, "refused" if not isinstance(truth, str) else "invalid", str(error))
    except InputError as error:
        if isinstance(truth, str):
            return Verdict(case, "invalid", str(error))
        outcome = "invalid" if any(text in str(error) for text in RUNTIME_ONLY) else "failed"
        return Verdict(case, outcome, f"{dtype}: onnxruntime runs it, but: {error}")
    graph = model.graph
    x = real(3, 4, graph.input_size, dtype="float32").astype(np.float64)
    if TABLE[case.op].positive:
        x = np.abs(x) + 0.5
    try:
        expected = OnnxRuntime(model).run(x)
    except InputError as error:
        return Verdict(case, "untested", str(error))
    values = run(graph, x)
    found, room = outputs(graph, values), outputs(graph, error_bounds(graph, x, values))
    if found.shape != expected.shape:
        return Verdict(case, "failed", f"{dtype}: {found.shape[1]} values, not {expected.shape[1]}")
    with np.errstate(invalid="ignore"):
        off = np.abs(found - expected)
    wrong = ~(off <= room) & ~(np.isnan(found) & np.isnan(expected))
    if wrong.any():
        at = tuple(np.argwhere(wrong)[0])
        return Verdict(case, "failed", f"{dtype}: {found[at]}, not {expected[at]}")
    return Verdict(case, "agrees")


def _runs(path: Path) -> Any:
    """Whether onnxruntime runs the model on its inputs' shapes; else its message."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        kinds = {"tensor(double)": np.float64, "tensor(float)": np.float32}
        feeds = {i.name: np.ones(i.shape, kinds[i.type]) for i in session.get_inputs()}
        return session.run(None, feeds)
    except Exception as error:  # its exceptions share no base class of their own
        return " ".join(str(error).split())[:200]


def every() -> list[str]:
    return sorted(RULES.keys() - ELSEWHERE.keys())
