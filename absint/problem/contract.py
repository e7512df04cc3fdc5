"""What ``semantics: float32`` covers, in numbers: the contract that search and checker share.

Every execution of the graph as written in IEEE binary32: sums in any order, with or without fused
multiply-add, with or without flush-to-zero, elementary functions within stated errors. The numbers
are in units of the unit roundoff; a test holds them against the runtimes that are named. Derivation
of what follows from them: docs/rigor.md, section 14.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Accuracy:
    """``|computed - f(x)| <= unit (absolute + relative |f(x)| + argument |x|)``, for |x| <= reach.

    Where an op has an attribute ``alpha``, ``absolute`` is times its size; of a power, ``relative``
    is times the exponent.
    """

    absolute: float = 0.0
    relative: float = 0.0
    argument: float = 0.0
    reach: float = math.inf


_EXACT = Accuracy()


@dataclass(frozen=True)
class Contract:
    """The executions that a claim speaks of."""

    version: int
    unit: float
    """The unit roundoff of the format."""
    flush: float
    """Its smallest normal number: a smaller result or operand may be replaced by zero."""
    largest: float
    """Its largest number: what may exceed it has no value."""
    elementwise: Mapping[str, Accuracy]
    roundings: Mapping[str, int]
    """Of ops that sum products: how many roundings a term may meet beyond one for each term."""
    attended: float
    """The largest query, key or value of an attention, masked ones included: beyond, there is no
    value."""
    algorithms: Mapping[str, str]
    """How ops of several steps may be computed."""
    runtimes: tuple[str, ...]
    """Those on which the elementwise numbers were measured."""
    excluded: tuple[str, ...]
    """Ways to execute a network that are not covered."""

    def covers(self, op: str) -> bool:
        """Whether there is a bound for what an op of the core may be off by."""
        return op in self.elementwise or op in self.roundings or op in self.algorithms

    def to_json(self) -> bytes:
        """Canonical bytes, for the digest."""
        data = {
            "version": self.version,
            "unit": self.unit.hex(),
            "flush": self.flush.hex(),
            "largest": self.largest.hex(),
            "elementwise": {op: _numbers(row) for op, row in self.elementwise.items()},
            "roundings": dict(self.roundings),
            "attended": self.attended.hex(),
            "algorithms": dict(self.algorithms),
            "runtimes": self.runtimes,
            "excluded": self.excluded,
        }
        return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()

    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hexadecimal: part of every problem that it is for."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def summary(self) -> str:
        """One line for people."""
        return (
            f"every float32 execution of the graph as written (contract {self.version}: any "
            "summation order, FMA or not, flush-to-zero or not)"
        )


def _numbers(row: Accuracy) -> list[str]:
    return [v.hex() for v in (row.absolute, row.relative, row.argument, row.reach)]


FLOAT32 = Contract(
    version=2,
    unit=2.0**-24,
    flush=2.0**-126,
    largest=(2 - 2.0**-23) * 2.0**127,
    elementwise=MappingProxyType(
        {
            "relu": _EXACT,
            "abs": _EXACT,
            "clip": _EXACT,
            "sign": _EXACT,
            "floor": _EXACT,
            "round": _EXACT,
            "leaky_relu": Accuracy(relative=4.0),
            "sigmoid": Accuracy(absolute=8.0, relative=4.0),
            "tanh": Accuracy(absolute=8.0, relative=4.0),
            "erf": Accuracy(absolute=4.0, relative=4.0),
            "exp": Accuracy(relative=4.0),
            "log": Accuracy(absolute=8.0, relative=8.0),
            "sqrt": Accuracy(relative=4.0),
            "reciprocal": Accuracy(relative=4.0),
            "power": Accuracy(relative=4.0),
            "sin": Accuracy(absolute=4.0, relative=4.0, reach=2.0**16),
            "cos": Accuracy(absolute=4.0, relative=4.0, reach=2.0**16),
            "gelu": Accuracy(relative=4.0, argument=8.0),
            "gelu_tanh": Accuracy(relative=4.0, argument=8.0, reach=2.0**40),
            "silu": Accuracy(relative=4.0, argument=8.0),
            "mish": Accuracy(relative=4.0, argument=12.0),
            "softplus": Accuracy(absolute=4.0, relative=4.0),
            "elu": Accuracy(absolute=4.0, relative=4.0),
            "hard_swish": Accuracy(relative=4.0, argument=8.0),
        }
    ),
    roundings=MappingProxyType(
        {"dense": 4, "conv": 4, "scale": 4, "gather": 4, "sum": 1, "mul": 3, "matmul": 8}
    ),
    attended=2.0**36,
    algorithms=MappingProxyType(
        {
            "input": "read as given",
            "reshape": "copies",
            "concat": "copies",
            "embedding": "copies",
            "argmax": "exact comparisons of computed values",
            "softmax": "exponentials of differences from the largest score (or the largest so "
            "far, rescaled at most twice), their sum in any order, then a quotient or a product "
            "with the reciprocal",
            "attend": "scores as sums of products, scaled before or after, then as softmax; the "
            "mean as a sum of products with its shares, or of products with the exponentials and a "
            "quotient; keys and values at other steps as they were computed then; what a mask "
            "takes out has no share; at most 2^14 keys of at most 2^14 entries, scaled by at most "
            "2^10",
            "normalize": "the mean, then the variance in one pass, two passes or Welford's, then "
            "a quotient or a product with the reciprocal root; also one product and one sum an "
            "entry",
        }
    ),
    runtimes=("onnxruntime 1.32.0 (CPU)", "PyTorch 2.13.0 (CPU)"),
    excluded=(
        "algebraic fusion, such as of a convolution with a batch normalisation after it",
        "Winograd, FFT and Strassen products",
        "TF32, float16, bfloat16 and other reduced precision, also in accumulation",
        "attention by more than three blocks of keys",
        "graph optimisers that change what is computed",
    ),
)
