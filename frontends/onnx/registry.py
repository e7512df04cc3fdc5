"""The table of ONNX ops: the one place that knows which are supported.

A new op is one rule (a function from ``Call`` to its outputs' values) and one row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from absint.frontends.onnx import (
    ops_activation,
    ops_arithmetic,
    ops_clip,
    ops_constant,
    ops_linear,
    ops_movement,
    ops_pad,
    ops_softmax,
    ops_univariate,
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
        "Ceil": ops_univariate.ceil,
        "Celu": ops_univariate.celu,
        "Clip": ops_clip.clip,
        "Concat": ops_movement.concat,
        "Constant": ops_constant.constant,
        "ConstantOfShape": ops_constant.constant_of_shape,
        "Conv": ops_window.conv,
        "Cos": ops_univariate.function("cos"),
        "Cosh": ops_univariate.hyperbolic(1),
        "Div": ops_arithmetic.divide,
        "Dropout": ops_arithmetic.dropout,
        "Elu": ops_univariate.elu,
        "Equal": ops_constant.equal,
        "Erf": ops_univariate.function("erf"),
        "Exp": ops_univariate.function("exp"),
        "Expand": ops_movement.expand,
        "Flatten": ops_movement.flatten,
        "Floor": ops_univariate.stepped("floor", np.floor),
        "Gather": ops_movement.gather,
        "Gelu": ops_univariate.gelu,
        "Gemm": ops_linear.gemm,
        "GlobalAveragePool": ops_linear.global_average_pool,
        "HardSigmoid": ops_clip.hard_sigmoid,
        "HardSwish": ops_univariate.plain("hard_swish"),
        "Identity": ops_arithmetic.identity,
        "LeakyRelu": ops_activation.leaky_relu,
        "Log": ops_univariate.function("log"),
        "LogSoftmax": ops_softmax.log_softmax,
        "MatMul": ops_linear.matmul,
        "Max": ops_clip.maximum,
        "Min": ops_clip.minimum,
        "Mish": ops_univariate.plain("mish"),
        "Mul": ops_arithmetic.multiply,
        "Neg": ops_arithmetic.negate,
        "PRelu": ops_activation.prelu,
        "Pad": ops_pad.pad,
        "Pow": ops_univariate.power,
        "Range": ops_constant.range_,
        "Reciprocal": ops_arithmetic.reciprocal,
        "ReduceMean": ops_linear.reduce_mean,
        "ReduceProd": ops_constant.reduce_prod,
        "ReduceSum": ops_linear.reduce_sum,
        "Relu": ops_activation.relu,
        "Reshape": ops_movement.reshape,
        "Round": ops_univariate.stepped("round", np.round),
        "Selu": ops_univariate.selu,
        "Shape": ops_arithmetic.shape,
        "Sigmoid": ops_univariate.function("sigmoid"),
        "Sign": ops_univariate.stepped("sign", np.sign),
        "Sin": ops_univariate.function("sin"),
        "Sinh": ops_univariate.hyperbolic(-1),
        "Size": ops_arithmetic.size,
        "Slice": ops_movement.slice_,
        "Softmax": ops_softmax.softmax,
        "Softplus": ops_univariate.plain("softplus"),
        "Softsign": ops_univariate.softsign,
        "Split": ops_movement.split,
        "Sqrt": ops_arithmetic.square_root,
        "Squeeze": ops_movement.squeeze,
        "Sub": ops_arithmetic.subtract,
        "Swish": ops_univariate.swish,
        "Tan": ops_univariate.tangent,
        "Tanh": ops_univariate.function("tanh"),
        "Tile": ops_movement.tile,
        "Transpose": ops_movement.transpose,
        "Unsqueeze": ops_movement.unsqueeze,
        "Where": ops_constant.where,
    }
)

MASKS = frozenset(
    {
        "Add",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "LogSoftmax",
        "Reshape",
        "Slice",
        "Softmax",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)
"""Ops whose rules know of masked operands, or only move entries."""

HINTS: Mapping[str, str] = MappingProxyType(
    {
        "ThresholdedRelu": "it is not continuous; Relu is",
    }
)
"""What to add of ops that are not supported; where it helps, what is."""
