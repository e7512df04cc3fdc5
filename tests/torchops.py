"""Calls of PyTorch's ops as functions of one tensor of shape ``SHAPE``, with their arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

SHAPE = (2, 3, 4)
T = torch.Tensor


def tensor(*shape: int) -> T:
    """Fixed numbers between -1 and 1."""
    return torch.cos(torch.arange(math.prod(shape), dtype=torch.float64)).reshape(shape)


CONDITION = tensor(3, 4) > 0
LEVELS = tensor(3, 4).round()

UNARY: dict[str, Callable[[T], Any]] = {
    "abs": torch.abs,
    "ceil": torch.ceil,
    "celu": lambda x: F.celu(x, 0.5),
    "clamp both": lambda x: x.clamp(-0.5, 0.25),
    "clamp crossed": lambda x: x.clamp(0.5, -0.25),
    "clamp low": lambda x: x.clamp(min=-0.1),
    "clamp_max": lambda x: x.clamp_max(0.1),
    "cos": torch.cos,
    "elu": lambda x: F.elu(x, 0.7),
    "erf": torch.erf,
    "exp": torch.exp,
    "floor": torch.floor,
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "glu": F.glu,
    "glu axis": lambda x: F.glu(x, 0),
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardtanh": lambda x: F.hardtanh(x, -0.3, 0.6),
    "leaky": lambda x: F.leaky_relu(x, 0.2),
    "log": lambda x: torch.log(x * x + 0.1),
    "logsigmoid": F.logsigmoid,
    "mish": F.mish,
    "neg": torch.neg,
    "pow 2": lambda x: x**2,
    "pow 3": lambda x: x**3,
    "pow half": lambda x: (x * x + 1) ** 0.5,
    "pow minus one": lambda x: (x * x + 1) ** -1,
    "pow of a number": lambda x: 2.0**x,
    "prelu": lambda x: F.prelu(x, tensor(3)),
    "prelu one": lambda x: F.prelu(x, tensor(1)),
    "reciprocal": lambda x: torch.reciprocal(x * x + 1),
    "relu": torch.relu,
    "relu6": lambda x: F.relu6(4 * x),
    "round": torch.round,
    "rsqrt": lambda x: torch.rsqrt(x * x + 1),
    "selu": F.selu,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "silu": F.silu,
    "sin": torch.sin,
    "softplus": lambda x: F.softplus(x, threshold=40),
    "softplus beta": lambda x: F.softplus(x, beta=2.0, threshold=40),
    "sqrt": lambda x: torch.sqrt(x * x + 1),
    "tan": torch.tan,
    "tanh": torch.tanh,
}
BINARY: dict[str, Callable[[T], Any]] = {
    "add": lambda x: torch.add(x, x.flip(0), alpha=3),
    "add constant": lambda x: x + tensor(3, 4),
    "add number": lambda x: x + 0.1,
    "add wider": lambda x: x + tensor(5, 1, 1, 1),
    "div": lambda x: x / (x.flip(1) ** 2 + 1),
    "div constant": lambda x: x / (tensor(4) + 2),
    "div floor": lambda x: torch.div(x, 0.3, rounding_mode="floor"),
    "div number": lambda x: x / 3,
    "div of a number": lambda x: 2 / (x * x + 1),
    "maximum": lambda x: torch.maximum(x, x.flip(0)),
    "maximum constant": lambda x: torch.maximum(x, tensor(4)),
    "minimum": lambda x: torch.minimum(x, -x),
    "minimum constant": lambda x: torch.minimum(tensor(4), x),
    "mul": lambda x: x * x[:1],
    "mul constant": lambda x: tensor(3, 1) * x,
    "rsub": lambda x: torch.rsub(x, 2, alpha=3),
    "sub": lambda x: torch.sub(x, x.flip(2), alpha=2),
    "sub constant": lambda x: tensor(4) - x,
    "where": lambda x: torch.where(CONDITION, x, -x),
    "where constant": lambda x: torch.where(CONDITION, x, 0.5),
    "masked_fill": lambda x: x.masked_fill(CONDITION[1], 7.0),
}
MOVES: dict[str, Callable[[T], Any]] = {
    "cat": lambda x: torch.cat([x, tensor(2, 1, 4), -x], 1),
    "chunk": lambda x: x.chunk(2, 1)[1],
    "diagonal": lambda x: torch.diagonal(x, 0, 1, 2),
    "expand": lambda x: x[:, :, None].expand(-1, -1, 5, -1),
    "flatten": lambda x: x.flatten(1),
    "flip": lambda x: x.flip(0, 2),
    "gather": lambda x: torch.gather(x, 2, torch.tensor([[[1], [0], [3]]])),
    "index": lambda x: x[:, torch.tensor([2, 0])],
    "index two": lambda x: x[:, torch.tensor([2, 0]), torch.tensor([1, 1])],
    "index_select": lambda x: x.index_select(2, torch.tensor([3, 3, 0])),
    "pad": lambda x: F.pad(x, (1, 2, 0, 1)),
    "pad cropping": lambda x: F.pad(x, (-1, 2)),
    "pad reflect": lambda x: F.pad(x, (1, 2), mode="reflect"),
    "pad replicate": lambda x: F.pad(x, (1, 2), mode="replicate"),
    "pad value": lambda x: F.pad(x, (1, 2), value=0.5),
    "permute": lambda x: x.permute(2, 0, 1),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x.reshape(1, 4, 2, 3), 2),
    "repeat": lambda x: x.repeat(2, 1, 3),
    "repeat_interleave": lambda x: x.repeat_interleave(2, dim=1),
    "roll": lambda x: x.roll(1, 2),
    "select": lambda x: x[1, :, -1],
    "slice": lambda x: x[:, ::2, 1:],
    "split": lambda x: x.split([1, 3], 2)[1],
    "squeeze": lambda x: x[:, :1].squeeze(1),
    "stack": lambda x: torch.stack([x, tensor(2, 3, 4), x], -1),
    "tril": lambda x: x.tril(),
    "triu": lambda x: x.triu(1),
    "unbind": lambda x: x.unbind(1)[2],
    "unfold": lambda x: x.unfold(2, 2, 1),
}
LOGIC: dict[str, Callable[[T], Any]] = {
    **{
        f"{name} {kind}": lambda x, name=name, other=other: getattr(torch, name)(
            x.round(), other(x)
        )
        for name in ("lt", "le", "gt", "ge", "eq", "ne")
        for kind, other in (
            ("variable", lambda x: x.flip(0).round()),
            ("constant", lambda x: LEVELS),
            ("number", lambda x: 1),
            ("float32 without axes", lambda x: torch.tensor(0.1, dtype=torch.float32)),
        )
    },
    **{
        f"{name} {kind}": lambda x, name=name, other=other: getattr(torch, name)(x > 0, other(x))
        for name in ("logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or")
        for kind, other in (("variable", lambda x: x > 0.5), ("constant", lambda x: CONDITION))
    },
    "all": lambda x: (x > -1).all(),
    "all dim": lambda x: (x > -1).all(1),
    "and": lambda x: (x > 0) & (x < 0.5),
    "any": lambda x: (x > 1).any(),
    "any dim": lambda x: (x > 1).any(dim=2, keepdim=True),
    "any of numbers": lambda x: x.round().any(dim=1),
    "bitwise_not": lambda x: ~(x > 0),
    "bitwise_xor": lambda x: (x > 0) ^ (x > 0.5),
    "clamp": lambda x: torch.clamp(x, x.flip(0), x.flip(1)),
    "clamp constant": lambda x: torch.clamp(x, max=tensor(3, 4)),
    "clamp_min": lambda x: torch.clamp_min(x, x.flip(0)),
    "count": lambda x: (x > 0).sum(1),
    "logical_and of numbers": lambda x: torch.logical_and(x.round(), x.flip(0).round()),
    "logical_not": lambda x: torch.logical_not(x.round()),
    "masked_fill": lambda x: x.masked_fill(x > 0.5, 7.0),
    "or": lambda x: (x < 0) | CONDITION,
    "masked_fill constant": lambda x: tensor(3, 4).masked_fill(x[:1] > 0.5, 7.0),
    "product with a truth value": lambda x: x * (x > 0),
    "to Boolean": lambda x: x.round().bool().double(),
    "to integers": lambda x: (x > 0).long(),
    "where": lambda x: torch.where(x > 0, x, -2 * x),
    "where broadcast": lambda x: torch.where(x[0] > 0, x, tensor(4)),
    "where constant": lambda x: torch.where(x > 0, tensor(4), tensor(3, 1)),
    "where number": lambda x: torch.where(x > 0, x, 0),
    "where numbers": lambda x: torch.where(x > 0, 0.1, 0.3),
}
WHOLE: dict[str, Callable[[T], Any]] = {
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x, 3),
    "addmm": lambda x: torch.addmm(tensor(5), x[0], tensor(4, 5), beta=0.5, alpha=2),
    "amax": lambda x: x.amax((0, 2), keepdim=True),
    "amin": lambda x: x.amin(1),
    "avg_pool1d": lambda x: F.avg_pool1d(x, 2, 1, 1),
    "baddbmm": lambda x: torch.baddbmm(tensor(2, 1, 5), x, tensor(2, 4, 5)),
    "batch_norm": lambda x: F.batch_norm(x, tensor(3), tensor(3) ** 2, None, tensor(3)),
    "bmm": lambda x: torch.bmm(x, x.transpose(1, 2)),
    "conv1d": lambda x: F.conv1d(x, tensor(2, 3, 2), tensor(2), dilation=2, padding=1),
    "conv1d same": lambda x: F.conv1d(x, tensor(2, 3, 2), padding="same"),
    "conv1d without a batch": lambda x: F.conv1d(x[0], tensor(2, 3, 2)),
    "conv_transpose1d": lambda x: F.conv_transpose1d(x, tensor(3, 2, 3), stride=2, padding=1),
    "cumsum": lambda x: x.cumsum(1),
    "einsum": lambda x: torch.einsum("bij,bkj->kib", x, x),
    "group_norm": lambda x: F.group_norm(x, 3, tensor(3), None, 0.1),
    "layer_norm": lambda x: F.layer_norm(x, (3, 4), tensor(3, 4), tensor(3, 4), 0.1),
    "linear": lambda x: F.linear(x, tensor(5, 4), tensor(5)),
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "logsumexp": lambda x: torch.logsumexp(x, (1, 2)),
    "matmul constant left": lambda x: tensor(5, 3) @ x,
    "matmul vector": lambda x: x @ tensor(4),
    "max": torch.max,
    "max dim": lambda x: x.max(1)[0],
    "max_pool1d": lambda x: F.max_pool1d(x, 2, 1, ceil_mode=True),
    "mean": torch.mean,
    "mean dims": lambda x: x.mean((0, 2), keepdim=True),
    "norm": lambda x: (x + 0.1).norm(dim=1),
    "norm 1": lambda x: x.norm(1, dim=(0, 1)),
    "outer": lambda x: torch.outer(x[0, 0], tensor(3)),
    "rms_norm": lambda x: F.rms_norm(x, (4,)),
    "softmax": lambda x: x.softmax(1),
    "sum": torch.sum,
    "sum dim": lambda x: x.sum(-1),
    "var": lambda x: x.var(1),
    "var correction": lambda x: x.var((0, 2), correction=0, keepdim=True),
}
