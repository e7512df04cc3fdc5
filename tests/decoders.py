"""Decoder networks over whole sequences, built op by op: tokens (1, slots) to logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.ir import Constant, Graph, GraphBuilder
from absint.problem.decode import Atom, DecodeProblem, Machine, PromptCell

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Decoder:
    """A decoder-only transformer with random weights."""

    vocabulary: int = 7
    width: int = 12
    layers: int = 1
    heads: int = 2
    kv_heads: int = 2
    hidden: int = 16
    norm: str = ""
    """``layer``, ``rms`` or none."""
    activation: str = "relu"
    """Of the MLP: an op; ``swiglu``; or none: attention only."""
    rope: bool = False
    causal: bool = True
    scaled: str = "scores"
    """Where the scores' factor stands: ``scores``, ``query``, ``both``, ``heads`` (one each;
    ``far`` from one); ``twice``: two at the scores."""
    seed: int = 0

    def graph(self, slots: int) -> Graph:
        """Tokens (1, slots) to logits (1, slots, vocabulary)."""
        return _Network(self, slots).graph()


@dataclass
class _Network:
    model: Decoder
    slots: int
    builder: GraphBuilder = field(default_factory=GraphBuilder)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.model.seed)

    def graph(self) -> Graph:
        model, builder = self.model, self.builder
        tokens = builder.input("tokens", (1, self.slots), "int64")
        table = {"weight": self.weight(model.vocabulary, model.width)}
        x = builder.add("embedding", [tokens], consts=table)
        if not model.rope:
            x = builder.add("scale", [x], consts={"bias": self.weight(self.slots, model.width)})
        for _ in range(model.layers):
            x = self.sum(x, self.attention(self.normalized(x)))
            if model.activation:
                x = self.sum(x, self.mlp(self.normalized(x)))
        logits = self.dense(self.normalized(x), model.vocabulary)
        return builder.build({"logits": logits})

    def weight(self, *shape: int) -> Constant:
        return Constant(self.rng.normal(size=shape) / np.sqrt(shape[0]))

    def dense(self, x: int, width: int, bias: bool = True) -> int:
        weight = self.weight(self.builder.shape(x)[-1], width)
        consts = {"weight": weight} | ({"bias": self.weight(width)} if bias else {})
        return self.builder.add("dense", [x], consts=consts)

    def sum(self, *xs: int) -> int:
        return self.builder.add("sum", xs, attrs={"coefficients": (1,) * len(xs)})

    def normalized(self, x: int) -> int:
        if not self.model.norm:
            return x
        centered = int(self.model.norm == "layer")
        attrs = {"axes": 1, "centered": centered, "epsilon": 1e-5}
        consts = {"weight": self.weight(self.model.width)}
        if centered:
            consts["bias"] = self.weight(self.model.width)
        made = self.builder.add("normalize", [x], attrs=attrs)
        return self.builder.add("scale", [made], consts=consts)

    def mlp(self, x: int) -> int:
        model = self.model
        if model.activation != "swiglu":
            hidden = self.builder.add(model.activation, [self.dense(x, model.hidden)])
            return self.dense(hidden, model.width)
        both = self.dense(x, 2 * model.hidden, bias=False)
        gate, up = (
            move(self.builder, both, lambda a, part=part: np.split(a, 2, axis=-1)[part])
            for part in (0, 1)
        )
        gate = self.builder.add("mul", [gate, self.builder.add("sigmoid", [gate])])
        return self.dense(self.builder.add("mul", [gate, up]), model.width, bias=False)

    def attention(self, x: int) -> int:
        model, slots = self.model, self.slots
        width = model.width // model.heads
        q, k, v = (
            self.split(self.dense(x, heads * width), heads)
            for heads in (model.heads, model.kv_heads, model.kv_heads)
        )
        if model.rope:
            q, k = self.rotated(q), self.rotated(k)
        if model.scaled in ("query", "both"):
            q = self.scaled(q, 0.4)
        if model.kv_heads < model.heads:
            group = model.heads // model.kv_heads
            k, v = (move(self.builder, y, lambda a: np.repeat(a, group, axis=1)) for y in (k, v))
        turned = move(self.builder, k, lambda a: np.swapaxes(a, -1, -2))
        scores = self.builder.add("matmul", [q, turned])
        if model.scaled in ("scores", "both"):
            scores = self.scaled(scores, 1 / np.sqrt(width))
        if model.scaled == "twice":
            scores = self.scaled(self.scaled(scores, 0.7), 0.6)
        if model.scaled in ("heads", "far"):
            unit = 1.0 if model.scaled == "heads" else 1e-8
            factors = Constant(unit * (0.3 + np.arange(model.heads).reshape(-1, 1, 1)))
            scores = self.builder.add("scale", [scores], consts={"weight": factors})
        mask = np.tril(np.ones((slots, slots), dtype=np.int64)) if model.causal else None
        consts = {}
        if mask is not None:
            consts["mask"] = Constant(np.broadcast_to(mask, (1, model.heads, slots, slots)))
        shares = self.builder.add("softmax", [scores], consts=consts)
        mixed = self.builder.add("matmul", [shares, v])
        joined = move(self.builder, mixed, lambda a: np.moveaxis(a, 1, 2).reshape(1, slots, -1))
        return self.dense(joined, model.width)

    def split(self, x: int, heads: int) -> int:
        """(1, slots, heads * width) to (1, heads, slots, width)."""
        shape = (1, self.slots, heads, -1)
        return move(self.builder, x, lambda a: np.moveaxis(a.reshape(shape), 2, 1))

    def scaled(self, x: int, factor: float) -> int:
        return self.builder.add("scale", [x], consts={"weight": Constant(np.array(factor))})

    def rotated(self, x: int) -> int:
        """Rotary positions: halves (a, b) of each head to (a cos - b sin, b cos + a sin)."""
        width = self.builder.shape(x)[-1]
        angles = np.outer(np.arange(self.slots), 0.5 ** np.arange(width // 2))
        cos, sin = (Constant(np.tile(f(angles), 2)) for f in (np.cos, np.sin))
        low, high = (
            move(self.builder, x, lambda a, part=part: np.split(a, 2, axis=-1)[part])
            for part in (0, 1)
        )
        turned = self.builder.add("concat", [self.scaled(high, -1.0), low], attrs={"axis": 3})
        return self.sum(
            self.builder.add("scale", [x], consts={"weight": cos}),
            self.builder.add("scale", [turned], consts={"weight": sin}),
        )


def move(builder: GraphBuilder, x: int, how: Callable[[Floats], Floats]) -> int:
    """Data movement, as numpy does it on one entry's array."""
    shape = builder.shape(x)
    index = how(np.arange(np.prod(shape)).reshape(shape))
    return builder.add("gather", [x], consts={"index": Constant(index)})


def mlp_decoder(slots: int, vocabulary: int = 6, width: int = 4, seed: int = 0) -> Graph:
    """An MLP on the joined embeddings: tokens (slots,) to logits (vocabulary,)."""
    rng, builder = np.random.default_rng(seed), GraphBuilder()
    tokens = builder.input("tokens", (slots,), "int64")
    table = {"weight": Constant(rng.normal(size=(vocabulary, width)))}
    x = builder.add("embedding", [tokens], consts=table)
    x = builder.add("reshape", [x], attrs={"shape": (slots * width,)})
    for size in (10, vocabulary):
        weight = Constant(rng.normal(size=(builder.shape(x)[0], size)))
        bias = Constant(rng.normal(size=size))
        x = builder.add("dense", [x], consts={"weight": weight, "bias": bias})
        if size != vocabulary:
            x = builder.add("tanh", [x])
    return builder.build({"logits": x})


def last_rows(graph: Graph, steps: int) -> dict[str, Sequence[int]]:
    """``logits_1 .. logits_steps``: the last rows of an output (..., slots, vocabulary)."""
    (port,) = graph.outputs
    rows = np.arange(port.size).reshape(port.shape)[0][-steps:]
    return {f"logits_{t + 1}": row for t, row in enumerate(rows)}


def problem(size: int, slots: int, steps: int, **options: Any) -> DecodeProblem:
    """All prompts of ``slots`` tokens, and a catastrophe that never happens."""
    every = frozenset(range(size))
    return DecodeProblem(
        name="p",
        vocabulary=tuple(f"t{i}" for i in range(size)),
        cells=(PromptCell((every,) * slots),),
        steps=steps,
        stop=options.pop("stop", frozenset()),
        machines=(Machine("output", ((0,) * size,), (0,)),),
        catastrophe=Atom(0, frozenset({1})),
        **options,
    )
