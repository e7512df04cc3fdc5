"""The table of aten ops: the one place that knows which are supported.

A new op is one rule (a function from ``Call`` to its results' values) and one row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from absint.frontends.lowering import logic
from absint.frontends.torch import (
    arithmetic,
    attention,
    bridge,
    comparison,
    elementwise,
    linear,
    movement,
    recurrent,
    window,
)
from absint.frontends.torch.call import Rule


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MOVES = _names("""
    _unsafe_view.default broadcast_to.default chunk.default diagonal.default expand.default
    flatten.using_ints flip.default gather.default index_select.default movedim.int narrow.default
    permute.default pixel_shuffle.default pixel_unshuffle.default reflection_pad1d.default
    reflection_pad2d.default repeat.default repeat_interleave.self_int replication_pad1d.default
    replication_pad2d.default reshape.default roll.default select.int slice.Tensor split.Tensor
    split_with_sizes.default squeeze.default squeeze.dim squeeze.dims t.default
    take_along_dim.default tile.default transpose.int tril.default triu.default unbind.int
    unflatten.int unfold.default unsqueeze.default view.default
""")
"""Ops that move entries of ``self`` and may fill in zeros: PyTorch says where each entry goes."""

_CREATED = _names("""
    arange.default arange.start arange.start_step eye.default eye.m full.default full_like.default
    new_full.default new_ones.default new_zeros.default ones.default ones_like.default
    scalar_tensor.default zeros.default zeros_like.default
""")
"""Constants made of numbers."""

_SAME = _names(
    "alias.default clone.default contiguous.default detach.default lift_fresh_copy.default"
)

_EXACT = _names("""
    _to_copy.default abs.default clamp.default floor.default masked_fill.Scalar masked_fill.Tensor
    maximum.default minimum.default neg.default round.default sign.default where.Scalar
    where.ScalarOther where.ScalarSelf where.self
""")
"""Ops of which the result is exact where the operands are constants with exact values."""

_EXACT_INTEGERS = _EXACT | _names("""
    __and__.Tensor __or__.Tensor __xor__.Tensor add.Scalar add.Tensor all.default any.default
    bitwise_and.Tensor bitwise_not.default bitwise_or.Tensor bitwise_xor.Tensor cumsum.default
    div.Tensor_mode eq.Scalar eq.Tensor floor_divide.default ge.Scalar ge.Tensor gt.Scalar
    gt.Tensor index.Tensor isinf.default isnan.default le.Scalar le.Tensor logical_and.default
    logical_not.default logical_or.default logical_xor.default lt.Scalar lt.Tensor mul.Scalar
    mul.Tensor ne.Scalar ne.Tensor one_hot.default outer.default prod.default remainder.Scalar
    remainder.Tensor rsub.Scalar sub.Scalar sub.Tensor sum.default sum.dim_IntList
""")
"""The same where the result is integers or Booleans."""

_ROWS: dict[str, Rule] = {
    "__and__.Tensor": comparison.connective(logic.both, bitwise=True),
    "__or__.Tensor": comparison.connective(logic.either, bitwise=True),
    "__xor__.Tensor": comparison.connective(logic.differ, bitwise=True),
    "_log_softmax.default": bridge.log_softmax,
    "_native_batch_norm_legit_no_training.default": window.legit_batch_norm,
    "_softmax.default": attention.softmax,
    "_to_copy.default": arithmetic.to_copy,
    "abs.default": elementwise.plain("abs"),
    "adaptive_avg_pool1d.default": window.adaptive_average_pool(1),
    "adaptive_avg_pool2d.default": window.adaptive_average_pool(2),
    "adaptive_avg_pool3d.default": window.adaptive_average_pool(3),
    "add.Scalar": arithmetic.add,
    "add.Tensor": arithmetic.add,
    "addmm.default": linear.added_matmul("mat1", "mat2"),
    "all.default": comparison.every,
    "all.dim": comparison.every,
    "all.dims": comparison.every,
    "amax.default": bridge.reduction("ReduceMax"),
    "amin.default": bridge.reduction("ReduceMin"),
    "any.default": comparison.some,
    "any.dim": comparison.some,
    "any.dims": comparison.some,
    "argmax.default": attention.argmax,
    "avg_pool1d.default": window.average_pool(1),
    "avg_pool2d.default": window.average_pool(2),
    "avg_pool3d.default": window.average_pool(3),
    "baddbmm.default": linear.added_matmul("batch1", "batch2"),
    "batch_norm.default": window.batch_norm,
    "bitwise_and.Tensor": comparison.connective(logic.both, bitwise=True),
    "bitwise_not.default": comparison.negation,
    "bitwise_or.Tensor": comparison.connective(logic.either, bitwise=True),
    "bitwise_xor.Tensor": comparison.connective(logic.differ, bitwise=True),
    "bmm.default": linear.matmul("mat2"),
    "cat.default": movement.cat,
    "ceil.default": elementwise.ceil,
    "celu.default": elementwise.celu,
    "clamp.Tensor": arithmetic.clamp,
    "clamp.default": elementwise.clamp,
    "clamp_max.Tensor": arithmetic.clamp,
    "clamp_max.default": elementwise.clamp,
    "clamp_min.Tensor": arithmetic.clamp,
    "clamp_min.default": elementwise.clamp,
    "constant_pad_nd.default": movement.pad,
    "conv1d.default": window.convolution(1),
    "conv1d.padding": window.convolution_by_name(1),
    "conv2d.default": window.convolution(2),
    "conv2d.padding": window.convolution_by_name(2),
    "conv3d.default": window.convolution(3),
    "conv3d.padding": window.convolution_by_name(3),
    "conv_transpose1d.default": window.transposed_convolution(1),
    "conv_transpose2d.input": window.transposed_convolution(2),
    "conv_transpose3d.input": window.transposed_convolution(3),
    "convolution.default": window.general_convolution,
    "cos.default": elementwise.smooth("cos"),
    "cumsum.default": bridge.cumulative_sum,
    "div.Scalar": arithmetic.divide,
    "div.Tensor": arithmetic.divide,
    "div.Tensor_mode": arithmetic.divide,
    "dropout.default": movement.dropout,
    "einsum.default": bridge.einsum,
    "elu.default": elementwise.elu,
    "embedding.default": movement.embedding,
    "eq.Scalar": comparison.relation(logic.equal),
    "eq.Tensor": comparison.relation(logic.equal),
    "erf.default": elementwise.smooth("erf"),
    "exp.default": elementwise.smooth("exp"),
    "floor.default": elementwise.plain("floor"),
    "ge.Scalar": comparison.relation(logic.greater_or_equal),
    "ge.Tensor": comparison.relation(logic.greater_or_equal),
    "gelu.default": elementwise.gelu,
    "glu.default": elementwise.glu,
    "group_norm.default": attention.group_norm,
    "gru.input": recurrent.layers("GRU"),
    "gt.Scalar": comparison.relation(logic.greater),
    "gt.Tensor": comparison.relation(logic.greater),
    "hardsigmoid.default": elementwise.hard_sigmoid,
    "hardswish.default": elementwise.plain("hard_swish"),
    "hardtanh.default": elementwise.hard_tanh,
    "index.Tensor": movement.index,
    "layer_norm.default": attention.layer_norm,
    "le.Scalar": comparison.relation(logic.less_or_equal),
    "le.Tensor": comparison.relation(logic.less_or_equal),
    "leaky_relu.default": elementwise.leaky_relu,
    "linalg_vector_norm.default": bridge.vector_norm,
    "linear.default": linear.linear,
    "log.default": elementwise.smooth("log"),
    "log_sigmoid.default": elementwise.log_sigmoid,
    "log_softmax.int": bridge.log_softmax,
    "logical_and.default": comparison.connective(logic.both),
    "logical_not.default": comparison.negation,
    "logical_or.default": comparison.connective(logic.either),
    "logical_xor.default": comparison.connective(logic.differ),
    "logsumexp.default": bridge.reduction("ReduceLogSumExp"),
    "lstm.input": recurrent.layers("LSTM"),
    "lt.Scalar": comparison.relation(logic.less),
    "lt.Tensor": comparison.relation(logic.less),
    "masked_fill.Scalar": arithmetic.masked_fill,
    "masked_fill.Tensor": arithmetic.masked_fill,
    "matmul.default": linear.matmul("other"),
    "max.default": bridge.reduction("ReduceMax"),
    "max.dim": bridge.reduction("ReduceMax", pair=True),
    "max.other": arithmetic.extreme(1),
    "max_pool1d.default": window.max_pool(1),
    "max_pool2d.default": window.max_pool(2),
    "max_pool2d_with_indices.default": window.max_pool(2, pair=True),
    "max_pool3d.default": window.max_pool(3),
    "maximum.default": arithmetic.extreme(1),
    "mean.default": arithmetic.mean,
    "mean.dim": arithmetic.mean,
    "min.default": bridge.reduction("ReduceMin"),
    "min.dim": bridge.reduction("ReduceMin", pair=True),
    "min.other": arithmetic.extreme(-1),
    "minimum.default": arithmetic.extreme(-1),
    "mish.default": elementwise.plain("mish"),
    "mm.default": linear.matmul("mat2"),
    "mul.Scalar": arithmetic.multiply,
    "mul.Tensor": arithmetic.multiply,
    "mv.default": linear.matmul("vec"),
    "ne.Scalar": comparison.relation(logic.not_equal),
    "ne.Tensor": comparison.relation(logic.not_equal),
    "neg.default": arithmetic.negate,
    "outer.default": linear.outer,
    "pad.default": movement.pad,
    "pow.Scalar": elementwise.power,
    "pow.Tensor_Scalar": elementwise.power,
    "pow.Tensor_Tensor": elementwise.power,
    "prelu.default": elementwise.prelu,
    "reciprocal.default": elementwise.reciprocal,
    "relu.default": elementwise.relu,
    "relu6.default": elementwise.relu6,
    "rms_norm.default": attention.rms_norm,
    "rnn_relu.input": recurrent.layers("RNN", "Relu"),
    "rnn_tanh.input": recurrent.layers("RNN"),
    "round.default": elementwise.rounding,
    "rsqrt.default": elementwise.inverse_root,
    "rsub.Scalar": arithmetic.reversed_subtract,
    "rsub.Tensor": arithmetic.reversed_subtract,
    "scaled_dot_product_attention.default": attention.attention,
    "selu.default": elementwise.selu,
    "sigmoid.default": elementwise.smooth("sigmoid"),
    "sign.default": elementwise.plain("sign"),
    "silu.default": elementwise.silu,
    "sin.default": elementwise.smooth("sin"),
    "softmax.int": attention.softmax,
    "softplus.default": elementwise.softplus,
    "sqrt.default": elementwise.square_root,
    "stack.default": movement.stack,
    "sub.Scalar": arithmetic.subtract,
    "sub.Tensor": arithmetic.subtract,
    "sum.default": arithmetic.total,
    "sum.dim_IntList": arithmetic.total,
    "tan.default": elementwise.tangent,
    "tanh.default": elementwise.smooth("tanh"),
    "var.correction": arithmetic.variance,
    "var.default": arithmetic.variance,
    "var.dim": arithmetic.variance,
    "where.Scalar": arithmetic.where,
    "where.ScalarOther": arithmetic.where,
    "where.ScalarSelf": arithmetic.where,
    "where.self": arithmetic.where,
}

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        f"aten.{name}": rule
        for name, rule in {
            **dict.fromkeys(_MOVES, movement.move),
            **dict.fromkeys(_CREATED, movement.create),
            **dict.fromkeys(_SAME, movement.identity),
            **_ROWS,
        }.items()
    }
)

IGNORED = frozenset({"aten._assert_tensor_metadata.default", "aten.sym_constrain_range.default"})
"""Nodes that have no result."""


def rule_on_constants(op: str, floating: bool) -> Rule | None:
    """The rule of an op all of whose operands are exact constants, where it is another one.

    ``floating``: whether the result is of a float type.
    """
    exact = _EXACT if floating else _EXACT_INTEGERS
    return movement.fold if op.removeprefix("aten.") in exact else None


HINTS: Mapping[str, str] = MappingProxyType(
    {
        "aten.atan.default": "inverse trigonometric functions are not in the core",
        "aten.topk.default": "argmax is",
    }
)
"""What to add of ops that are not supported; where it helps, what is."""
