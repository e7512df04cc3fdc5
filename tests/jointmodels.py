"""Nodes of every joint op and attribute, for tests."""

from __future__ import annotations

import numpy as np
from irmodels import Case, whole

MASK = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 1]])

JOINT = [
    Case("embedding", "embedding", ((3,),), {}, {"weight": whole(50, 5, 2)}),
    Case("embedding-scalar", "embedding", ((),), {}, {"weight": whole(51, 4, 3)}),
    Case("embedding-rows", "embedding", ((2, 2),), {}, {"weight": whole(52, 1, 1)}),
    Case("mul", "mul", ((2, 3), (2, 3))),
    Case("mul-broadcast", "mul", ((2, 1, 3), (4, 1))),
    Case("mul-scalar", "mul", ((2, 3), ())),
    Case("mul-scalars", "mul", ((), ())),
    Case("matmul", "matmul", ((2, 3), (3, 4))),
    Case("matmul-stacked", "matmul", ((3, 2, 4), (3, 4, 2))),
    Case("matmul-broadcast", "matmul", ((2, 1, 3, 2), (2, 2, 1))),
    Case("matmul-one-product", "matmul", ((1, 1), (1, 1))),
    Case("softmax", "softmax", ((2, 4),)),
    Case("softmax-one", "softmax", ((2, 1),)),
    Case("softmax-masked", "softmax", ((3, 3),), {}, {"mask": MASK}),
    Case("layer-norm", "normalize", ((3, 4),), {"axes": 1, "centered": 1, "epsilon": 2.0**-17}),
    Case("layer-norm-2", "normalize", ((2, 2, 3),), {"axes": 2, "centered": 1, "epsilon": 0.5}),
    Case("layer-norm-one", "normalize", ((2, 1),), {"axes": 1, "centered": 1, "epsilon": 1.0}),
    Case("rms-norm", "normalize", ((3, 4),), {"axes": 1, "centered": 0, "epsilon": 2.0**-20}),
    Case("rms-norm-exact", "normalize", ((5,),), {"axes": 1, "centered": 0, "epsilon": 0.0}),
    Case(
        "attend",
        "attend",
        ((4,), *((4,),) * 3, *((6,),) * 3),
        {"heads": 2, "kv_heads": 2, "scale": 0.5},
    ),
    Case(
        "attend-grouped",
        "attend",
        ((8,), *((4,),) * 2, *((2,),) * 2),
        {"heads": 4, "kv_heads": 2, "scale": -1.25},
    ),
    Case("attend-one", "attend", ((3,), (3,), (2,)), {"heads": 1, "kv_heads": 1, "scale": 1.0}),
    Case("argmax", "argmax", ((2, 4),)),
    Case("argmax-one", "argmax", ((1,),)),
]
"""One case of each op and form."""


def operands(case: Case, batch: int, seed: int, scale: float = 1.0) -> list[np.ndarray]:
    """Values for each operand, (batch, *shape); token ids for an embedding."""
    rng = np.random.default_rng(seed)
    if case.op == "embedding":
        count = case.consts["weight"].shape[0]
        return [
            rng.integers(0, count, (batch, *shape)).astype(np.float64) for shape in case.in_shapes
        ]
    return [scale * rng.normal(size=(batch, *shape)) for shape in case.in_shapes]
