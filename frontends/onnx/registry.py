"""The table of ONNX ops: the one place that knows which are supported.

A new op is one rule (a function from ``Call`` to its outputs' values) and one row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from absint.frontends.onnx import (
    ops_activation,
    ops_arithmetic,
    ops_clip,
    ops_constant,
    ops_linear,
    ops_movement,
    ops_pad,
    ops_window,
)
from absint.frontends.onnx.call import Call
from absint.frontends.onnx.values import Value

Rule = Callable[[Call], Value | tuple[Value, ...]]

MIN_OPSET, MAX_OPSET = 7, 24
"""The opsets whose semantics the rules were written for and tested against."""

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Abs": ops_activation.absolute,
        "Add": ops_arithmetic.add,
        "AveragePool": ops_window.average_pool,
        "BatchNormalization": ops_linear.batch_normalization,
        "Cast": ops_arithmetic.cast,
        "Clip": ops_clip.clip,
        "Concat": ops_movement.concat,
        "Constant": ops_constant.constant,
        "ConstantOfShape": ops_constant.constant_of_shape,
        "Conv": ops_window.conv,
        "Div": ops_arithmetic.divide,
        "Dropout": ops_arithmetic.dropout,
        "Equal": ops_constant.equal,
        "Expand": ops_movement.expand,
        "Flatten": ops_movement.flatten,
        "Gather": ops_movement.gather,
        "Gemm": ops_linear.gemm,
        "GlobalAveragePool": ops_linear.global_average_pool,
        "HardSigmoid": ops_clip.hard_sigmoid,
        "Identity": ops_arithmetic.identity,
        "LeakyRelu": ops_activation.leaky_relu,
        "MatMul": ops_linear.matmul,
        "Max": ops_clip.maximum,
        "Min": ops_clip.minimum,
        "Mul": ops_arithmetic.multiply,
        "Neg": ops_arithmetic.negate,
        "PRelu": ops_activation.prelu,
        "Pad": ops_pad.pad,
        "Range": ops_constant.range_,
        "Reciprocal": ops_arithmetic.reciprocal,
        "ReduceMean": ops_linear.reduce_mean,
        "ReduceProd": ops_constant.reduce_prod,
        "ReduceSum": ops_linear.reduce_sum,
        "Relu": ops_activation.relu,
        "Reshape": ops_movement.reshape,
        "Shape": ops_arithmetic.shape,
        "Sigmoid": ops_activation.sigmoid,
        "Size": ops_arithmetic.size,
        "Slice": ops_movement.slice_,
        "Split": ops_movement.split,
        "Sqrt": ops_arithmetic.square_root,
        "Squeeze": ops_movement.squeeze,
        "Sub": ops_arithmetic.subtract,
        "Tanh": ops_activation.tanh,
        "Tile": ops_movement.tile,
        "Transpose": ops_movement.transpose,
        "Unsqueeze": ops_movement.unsqueeze,
        "Where": ops_constant.where,
    }
)

HINTS: Mapping[str, str] = MappingProxyType(
    {
        "HardSwish": "a product of tensors that depend on the input; Relu6 and HardSigmoid are",
        "ThresholdedRelu": "it is not continuous; Relu is",
    }
)
"""What to add of ops that are not supported; where it helps, what is."""
