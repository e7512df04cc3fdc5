"""Sets that were divided by a phase although a longer ascent refutes them whole.

A search gives each set a few steps and then divides it, which is the faster way to a proof. Once
the proof is there, the smallest divided sets are tried again with more steps, from the sums that
refute their first part; what is refuted takes one leaf instead of two, and so on upwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from absint.proofs.stream import Rule, Step
from absint.search.phases.ground import Ground
from absint.search.phases.sets import OpenSet, Sum
from absint.search.tree import OpenPlace, Tree

STEPS = 24


def merge(tree: Tree, ground: Ground, enough: float) -> int:
    """Merges leaves of a closed proof by phases, and says how many times two became one.

    A set is closed where the sums against all conjunctions are above ``enough``.
    """
    merged, tried = 0, set[int]()
    while sets := [
        _as_open(ground, place, leaf)
        for place, leaf in tree.divided_once()
        if place.node not in tried
    ]:
        tried.update(item.number for item in sets)
        for item in _refuted(ground, sets, enough):
            tree.merge(item.number, Rule.MIX, operands(ground, item))
            merged += 1
    return merged


def operands(ground: Ground, item: OpenSet) -> list[int]:
    """Those of MIX, by the set's sums."""
    found = list[int]()
    for members, own in zip(ground.query.members, item.sums, strict=True):
        found += [*own.weights[members].tolist(), *own.multipliers]
    return found


def _refuted(ground: Ground, sets: Sequence[OpenSet], enough: float) -> Sequence[OpenSet]:
    """The sets that longer ascents refute, with the sums that do."""
    for conjunction in range(len(ground.query.members)):
        found = ground.sums([(item, conjunction) for item in sets], STEPS, enough)
        sets = [
            item.with_sum(conjunction, better.sum)
            for item, better in zip(sets, found, strict=True)
            if better.sum.value > enough
        ]
    return sets


def _as_open(ground: Ground, place: OpenPlace, leaf: Step) -> OpenSet:
    """A divided set as it was before that, with the sums of a ``leaf`` that is part of it."""
    entries = tuple(ground.entry(node, entry) for node, entry, _ in place.phases)
    sides = tuple(1 if above else -1 for _, _, above in place.phases)
    chosen = np.broadcast_to(ground.default, ground.root.slopes.shape)
    if place.slopes is not None:
        chosen = np.frombuffer(place.slopes, dtype=np.uint8).reshape(chosen.shape)
    begin, sums = 0, list[Sum]()
    unknown = np.zeros(len(ground.store.live), dtype=np.float32)
    for members in ground.query.members:
        weights = np.zeros(len(ground.query.query.bound), dtype=np.int64)
        weights[members] = leaf.choices[begin : begin + len(members)]
        begin += len(members)
        multipliers = leaf.choices[begin : begin + len(entries)]
        sums.append(Sum(-np.inf, weights, multipliers, unknown))
        begin += len(entries) + 1
    return OpenSet(place.node, entries, sides, chosen, tuple(sums), 0)
