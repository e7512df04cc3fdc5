"""The greedy decoder of the g2p-en 2.1.0 package as a decode graph of core ops.

A word's letters go through a GRU; a second GRU then writes phonemes, each the argmax of its logits,
and stops at ``</s>`` or after 20 steps. The weights are read from the package's own file, without
importing the package (its import wants to download data)::

    pip install --no-deps g2p-en==2.1.0
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.ir import Constant, Graph, GraphBuilder

Weights = Mapping[str, NDArray[Any]]

STEPS = 20
LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PHONEMES = (
    "<pad> <unk> <s> </s> AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 "
    "B CH D DH EH0 EH1 EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG "
    "OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH"
)
PHONEMES = tuple(_PHONEMES.split())
START, STOP = PHONEMES.index("<s>"), PHONEMES.index("</s>")
SPECIAL = tuple(PHONEMES.index(name) for name in ("<pad>", "<unk>", "<s>"))
"""Tokens that no transcription should hold."""

VOCABULARY = (*PHONEMES, "?", *LETTERS)
"""What slots and steps hold: a phoneme has the package's own number, a letter comes after them.
``?`` is any other character, which the package reads as its ``<unk>``."""
LETTER_IDS = frozenset(range(len(PHONEMES) + 1, len(VOCABULARY)))
PHONEME_IDS = frozenset(range(len(PHONEMES)))

_GRAPHEMES = (1, *range(3, 3 + len(LETTERS)))
"""Rows of the encoder's table for ``?`` and the letters."""
_END_OF_WORD = 2
_NEVER = -1024.0
"""The logit given to letters, which cannot be emitted; no phoneme's comes near it."""


def package_folder() -> Path | None:
    """The folder ``g2p_en`` of the installed package, or $G2P_EN; None where there is neither."""
    if "G2P_EN" in os.environ:
        return Path(os.environ["G2P_EN"])
    spec = importlib.util.find_spec("g2p_en")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def read_weights(folder: Path) -> Weights:
    """The package's arrays by name, float32."""
    with np.load(folder / "checkpoint20.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def tokens(word: str) -> list[int]:
    """The prompt of a lower-case word, one token a letter."""
    place = {letter: i for i, letter in enumerate(VOCABULARY)}
    return [place.get(letter, len(PHONEMES)) for letter in word]


def decode_graph(weights: Weights, letters: int, steps: int = STEPS) -> Graph:
    """The decoder for words of ``letters`` letters, unrolled over ``steps`` steps.

    Inputs ``token_0 ..``: the letters, then the phonemes emitted before the last step. Outputs
    ``logits_1 .. logits_steps``, each over VOCABULARY.
    """
    builder = GraphBuilder()
    encoder, decoder = _Cell(builder, weights, "enc"), _Cell(builder, weights, "dec")
    slots = [builder.input(f"token_{i}", (), "int64") for i in range(letters + steps - 1)]
    hidden: int | None = None
    table = Constant(_letter_rows(weights["enc_emb"]))
    for slot in slots[:letters]:
        x = builder.add("embedding", [slot], consts={"weight": table})
        hidden = encoder.step(x, hidden)
    hidden = encoder.step(_fixed(builder, slots[0], weights["enc_emb"][_END_OF_WORD]), hidden)
    x = _fixed(builder, slots[0], weights["dec_emb"][START])
    table, outputs = Constant(_phoneme_rows(weights["dec_emb"])), {}
    head = {key: Constant(value) for key, value in _head(weights).items()}
    for step in range(steps):
        hidden = decoder.step(x, hidden)
        outputs[f"logits_{step + 1}"] = builder.add("dense", [hidden], consts=head)
        if step < steps - 1:
            x = builder.add("embedding", [slots[letters + step]], consts={"weight": table})
    return builder.build(outputs)


def _letter_rows(table: NDArray[Any]) -> NDArray[Any]:
    rows = np.zeros((len(VOCABULARY), table.shape[1]), table.dtype)
    rows[len(PHONEMES) :] = table[list(_GRAPHEMES)]
    return rows


def _phoneme_rows(table: NDArray[Any]) -> NDArray[Any]:
    rows = np.zeros((len(VOCABULARY), table.shape[1]), table.dtype)
    rows[: len(PHONEMES)] = table
    return rows


def _head(weights: Weights) -> dict[str, NDArray[Any]]:
    extra = len(VOCABULARY) - len(PHONEMES)
    weight = np.pad(weights["fc_w"], ((0, extra), (0, 0))).T
    return {"weight": weight, "bias": np.pad(weights["fc_b"], (0, extra), constant_values=_NEVER)}


def _fixed(builder: GraphBuilder, slot: int, value: NDArray[Any]) -> int:
    """A constant vector. The core has no constants, so it is a row that every token selects."""
    rows = np.broadcast_to(value, (len(VOCABULARY), value.size))
    return builder.add("embedding", [slot], consts={"weight": Constant(rows)})


class _Cell:
    """The package's ``grucell``, op by op; gates in the order reset, update, new."""

    def __init__(self, builder: GraphBuilder, weights: Weights, prefix: str) -> None:
        self._builder = builder
        self._parts = {
            side: {
                "weight": Constant(weights[f"{prefix}_w_{side}"].T),
                "bias": Constant(weights[f"{prefix}_b_{side}"]),
            }
            for side in ("ih", "hh")
        }
        self._width = weights[f"{prefix}_w_hh"].shape[1]

    def step(self, x: int, hidden: int | None) -> int:
        """The next hidden state; ``hidden`` is None for the zero state."""
        add, width = self._builder.add, self._width
        from_x = add("dense", [x], consts=self._parts["ih"])
        if hidden is None:
            hidden = self._zero(x)
        from_h = add("dense", [hidden], consts=self._parts["hh"])
        halves = [self._slice(node, 0, 2 * width) for node in (from_x, from_h)]
        gates = add("sigmoid", [add("sum", halves, attrs={"coefficients": (1, 1)})])
        reset, update = self._slice(gates, 0, width), self._slice(gates, width, 2 * width)
        fresh = [self._slice(node, 2 * width, 3 * width) for node in (from_x, from_h)]
        fresh[1] = add("mul", [reset, fresh[1]])
        new = add("tanh", [add("sum", fresh, attrs={"coefficients": (1, 1)})])
        flip = {"weight": Constant(np.array(-1.0)), "bias": Constant(np.array(1.0))}
        parts = [
            add("mul", [add("scale", [update], consts=flip), new]),
            add("mul", [update, hidden]),
        ]
        return add("sum", parts, attrs={"coefficients": (1, 1)})

    def _slice(self, node: int, start: int, stop: int) -> int:
        index = {"index": Constant(np.arange(start, stop))}
        return self._builder.add("gather", [node], consts=index)

    def _zero(self, x: int) -> int:
        index = {"index": Constant(np.full(self._width, -1))}
        return self._builder.add("gather", [x], consts=index)
