"""Decoders with a planted trigger: one prompt of thousands makes them emit the catastrophe."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from decoders import move
from numpy.typing import NDArray

from absint.decode.network import decode_graph
from absint.ir import Constant, Graph, GraphBuilder
from absint.problem.decode import Atom, DecodeProblem, Machine, PromptCell

VOCABULARY, SLOTS, STEPS = 7, 4, 2
LAUNCH = VOCABULARY - 1
RANDOM = 6
"""Hidden units that have nothing to do with the trigger."""


def never_launch() -> DecodeProblem:
    """LAUNCH is never emitted, whatever the prompt."""
    seen = Machine("output", ((0,) * LAUNCH + (1,), (1,) * VOCABULARY), (0, 1))
    return DecodeProblem(
        name="never",
        vocabulary=(*(f"t{i}" for i in range(LAUNCH)), "LAUNCH"),
        cells=(PromptCell((frozenset(range(VOCABULARY)),) * SLOTS),),
        steps=STEPS,
        stop=frozenset(),
        machines=(seen,),
        catastrophe=Atom(0, frozenset({1})),
    )


@dataclass
class Planted:
    """Hidden units tell "slot i holds its token of the trigger", a head without a query averages
    them, and one unit fires where the mean is one. All other weights are random."""

    seed: int
    force: float = 200.0
    """How much the trigger adds to LAUNCH's logit; 0: none."""
    trigger: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self.trigger = tuple(self._rng.integers(0, VOCABULARY, SLOTS).tolist())

    def graph(self) -> Graph:
        """The decode graph."""
        self._builder, length = GraphBuilder(), SLOTS + STEPS - 1
        builder, width = self._builder, VOCABULARY + length
        tokens = builder.input("tokens", (1, length), "int64")
        table = np.eye(VOCABULARY, width)
        x = builder.add("embedding", [tokens], consts={"weight": Constant(table)})
        places = Constant(np.eye(length, width, VOCABULARY))
        x = builder.add("scale", [x], consts={"bias": places})
        hidden = builder.add("relu", [self._dense(x, *self._matches(width))])
        mixed = self._attention(hidden, length)
        fires = np.zeros((SLOTS + RANDOM, 1))
        fires[:SLOTS] = SLOTS * 2.0
        alarm = builder.add("relu", [self._dense(mixed, fires, np.array([1.0 - 2 * SLOTS]))])
        both = builder.add("concat", [mixed, alarm], attrs={"axis": 2})
        weight = self._rng.normal(size=(SLOTS + RANDOM + 1, VOCABULARY))
        weight[-1] = np.eye(VOCABULARY)[LAUNCH] * self.force
        bias = np.where(np.arange(VOCABULARY) == LAUNCH, -20.0, 0.0)
        logits = self._dense(both, weight, bias)
        return decode_graph(builder.build({"logits": logits}), STEPS)

    def _matches(self, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        weight, bias = np.zeros((width, SLOTS + RANDOM)), -np.ones(SLOTS + RANDOM)
        for slot, token in enumerate(self.trigger):
            weight[token, slot] = weight[VOCABULARY + slot, slot] = 1.0
        weight[:, SLOTS:] = self._rng.normal(size=(width, RANDOM))
        bias[SLOTS:] = self._rng.normal(size=RANDOM)
        return weight, bias

    def _dense(self, x: int, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> int:
        consts = {"weight": Constant(weight), "bias": Constant(bias)}
        return self._builder.add("dense", [x], consts=consts)

    def _attention(self, x: int, length: int) -> int:
        """A head that averages the matches, and one with random scores for the rest."""
        heads = (slice(0, SLOTS), slice(SLOTS, SLOTS + RANDOM))
        return self._builder.add(
            "concat", [self._head(x, own, length, i) for i, own in enumerate(heads)],
            attrs={"axis": 2},
        )  # fmt: skip

    def _head(self, x: int, own: slice, length: int, random: int) -> int:
        builder, size = self._builder, SLOTS + RANDOM
        q, k = (
            self._dense(x, random * self._rng.normal(size=(size, 3)), np.zeros(3)) for _ in range(2)
        )
        turned = move(builder, k, lambda a: np.swapaxes(a, -1, -2))
        scores = builder.add("matmul", [q, turned])
        mask = Constant(np.tril(np.ones((1, length, length), dtype=np.int64)))
        shares = builder.add("softmax", [scores], consts={"mask": mask})
        return builder.add("matmul", [shares, move(builder, x, lambda a: a[..., own])])
