"""Bounds of a second layer, one token of a position at a time, against every text."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from decoders import Decoder, last_rows
from numpy.typing import NDArray

from absint.ir import Graph, Node
from absint.ir.blocks import slots_of, unroll
from absint.ir.evaluate import evaluate
from absint.proofs.arithmetic import FloatArray
from absint.proofs.bounds import Bounds
from absint.proofs.conditional import Prefixes, anchors
from absint.proofs.reads import first_attention, most_read
from absint.proofs.regions import Rows
from absint.proofs.tokens import Tables, TokenSets
from absint.proofs.transformers import coupled
from absint.proofs.transformers.directions import Normalized
from absint.proofs.transformers.factors import parabolas

BoolArray = NDArray[np.bool_]
SIZE, SLOTS, STATES = 4, 4, 5


def network(seed: int, norm: str = "") -> Graph:
    graph = Decoder(vocabulary=SIZE, layers=2, norm=norm, seed=seed).graph(SLOTS)
    return unroll(graph, last_rows(graph, 1))


def token_sets(seed: int) -> BoolArray:
    """Token sets of some states; the last slot holds one token."""
    rng = np.random.default_rng(seed)
    sets = rng.random((STATES, SLOTS, SIZE)) < 0.5
    picked = rng.integers(SIZE, size=(STATES, SLOTS))
    sets[:, -1] = False
    sets[np.arange(STATES)[:, None], np.arange(SLOTS), picked] = True
    return sets


def least(graph: Graph, sets: BoolArray, rows: FloatArray) -> FloatArray:
    """The checker's bounds of rows on the logits."""
    bounds = Bounds(graph, TokenSets(Tables(graph, SIZE), sets, graph.outputs[0].node))
    count = len(rows)
    none, zeros = np.zeros((1, count, 0)), np.zeros((1, count))
    return bounds.minimum(Rows(none, none, rows[None], np.zeros((1, count, SIZE)), zeros))


def differences() -> FloatArray:
    """Each logit less each other one."""
    pairs = list(itertools.permutations(range(SIZE), 2))
    rows = np.zeros((len(pairs), SIZE))
    for row, (i, j) in enumerate(pairs):
        rows[row, [i, j]] = 1.0, -1.0
    return rows


@pytest.mark.parametrize("norm", ["", "rms", "layer"])
@pytest.mark.parametrize("seed", range(6))
def test_no_text_is_below_a_bound(seed: int, norm: str) -> None:
    graph, sets, rows = network(seed, norm), token_sets(seed), differences()
    found = least(graph, sets, rows)
    for state in range(STATES):
        choices = [np.flatnonzero(own).tolist() for own in sets[state]]
        texts = np.array(list(itertools.product(*choices)), dtype=np.float64)
        truth = (evaluate(graph, texts) @ rows.T).min(axis=0)
        assert (found[state] <= truth + 1e-9).all()
        assert np.isfinite(found[state]).all()


@pytest.mark.parametrize("seed", range(4))
def test_entries_of_one_token_are_tighter(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Than one interval for each position: that is what the second layer read before."""
    graph, sets, rows = network(seed), token_sets(seed), differences()
    sets[:, 1:-1] = True
    fine = least(graph, sets, rows)
    monkeypatch.setattr(Prefixes, "anchor", lambda self, pair: None)
    coarse = least(graph, sets, rows)
    assert (fine >= coarse - 1e-9).mean() > 0.95
    assert fine.mean() > 0.85 * coarse.mean()


def test_the_own_slot_is_that_of_the_residual_stream() -> None:
    graph = network(0, "rms")
    slots = slots_of(graph)
    found = anchors(graph, slots)
    for position, node in enumerate(graph.nodes):
        if node.op == "attend":
            assert found[position] == max(slots[position])
    assert {found[port.node] for port in graph.outputs} == {SLOTS - 1}


def test_a_prefix_is_bounded_once() -> None:
    graph, sets = network(0), token_sets(0)
    prefixes = Prefixes(graph, slots_of(graph))
    target = [n for n in graph.nodes if n.op == "attend"][-1]
    middle = (len(target.inputs) - 1) // 2
    pair = (target.inputs[2], target.inputs[middle + 2])
    asked: list[int] = []

    def bound(pair: tuple[int, int], rows: BoolArray) -> FloatArray:
        asked.append(len(rows))
        return np.arange(len(rows), dtype=np.float64)[:, None]

    slot = prefixes.anchor(pair)
    assert slot == 1
    twice = np.concatenate([sets, sets])
    twice[:, 2:] = True  # comes later: the pair does not depend on it
    reads = [None] * len(twice)
    table, closed = prefixes.of(pair, reads, twice, bound)
    assert (table[:STATES] == table[STATES:]).all()
    assert (~closed).sum() == twice[:, slot].sum()
    distinct = {
        (sets[s, 0].tobytes(), t) for s in range(STATES) for t in np.flatnonzero(sets[s, slot])
    }
    assert asked == [len(distinct)]
    prefixes.of(pair, reads, twice, bound)
    assert asked == [len(distinct)]


def test_entries_are_pairs_of_tokens_of_the_own_slot_and_the_one_read() -> None:
    graph, sets = network(0), token_sets(0)
    sets[:, 0] = True
    prefixes = Prefixes(graph, slots_of(graph))
    target = [n for n in graph.nodes if n.op == "attend"][-1]
    middle = (len(target.inputs) - 1) // 2
    pair = (target.inputs[2], target.inputs[middle + 2])
    held: list[BoolArray] = []

    def bound(pair: tuple[int, int], rows: BoolArray) -> FloatArray:
        held.extend(rows)
        return np.array([[row[0].argmax(), row[1].argmax()] for row in rows], dtype=np.float64)

    table, closed = prefixes.of(pair, [0] * STATES, sets, bound)
    tokens = np.flatnonzero(sets[:, 1].any(axis=0))
    assert table.shape == (STATES, len(tokens), SIZE, 2)
    assert all(row[:2].sum() == 2 for row in held)
    assert (~closed == sets[:, 1][:, tokens, None]).all()
    for (state, one, other), shut in np.ndenumerate(closed):
        assert shut or table[state, one, other].tolist() == [other, tokens[one]]


def test_the_slot_read_most_is_the_one_that_moves_the_output_most() -> None:
    """Against the outputs of an attend node at random texts, with one slot's token changed."""
    graph = network(3)
    slots = slots_of(graph)
    tables = Tables(graph, SIZE)
    target = [n for n in graph.nodes if n.op == "attend"][-1]
    middle = (len(target.inputs) - 1) // 2
    pair = (target.inputs[middle], target.inputs[2 * middle])
    others, added = tables.read(pair)
    assert others == [0, 1, 2]
    assert added.shape[:2] == (3, SIZE)
    sets = np.ones((3, SIZE), dtype=np.bool_)
    chosen = most_read(added, sets)
    assert chosen is not None
    node = first_attention(graph, slots, pair[0])
    assert node is not None
    sets[chosen, 1:] = False  # one token: nothing to be read there
    assert most_read(added, sets) != chosen
    assert most_read(added, sets & False | (np.arange(SIZE) == 0)) is None


def test_a_slot_is_read_mostly_by_its_share_of_the_variance() -> None:
    """Of two slots, whose contributions vary by 9 and by 1."""
    added, sets = np.array([[[3.0], [-3.0]], [[1.0], [-1.0]]]), np.ones((2, 2), dtype=np.bool_)
    assert most_read(added, sets, 0.85) == 0
    assert most_read(added, sets, 0.95) is None
    sets[0, 1] = False
    assert most_read(added, sets, 0.95) == 1


@pytest.mark.parametrize("norm", ["", "rms"])
def test_tables_and_heads_over_one_text_are_no_looser(
    norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Than each of them over a text of its own, and mostly tighter."""
    found, alone = [], []
    for seed in range(1):
        graph, sets, rows = network(seed, norm), token_sets(seed), differences()
        found.append(least(graph, sets, rows))
        with monkeypatch.context() as patch:
            patch.setattr(coupled, "HEADS", 0)
            alone.append(least(graph, sets, rows))
    assert (np.array(found) >= np.array(alone) - 1e-9).all()
    assert (np.array(found) > np.array(alone) + 1e-3).mean() > 0.5


@pytest.mark.parametrize("centered", [0, 1])
def test_parabolas_are_below_in_rationals(centered: int) -> None:
    rng = np.random.default_rng(centered)
    shape = (5,)
    for _ in range(40):
        x = rng.normal(size=(3, *shape)) * 10.0 ** rng.integers(-3, 4, size=(3, *shape))
        width = np.abs(rng.normal(size=(3, *shape)))
        attrs = {"axes": 1, "centered": centered, "epsilon": 1e-5}
        node = Node("normalize", (0,), (shape,), attrs, {}, shape)
        interval = (x - width, x + width)
        step = Normalized.of(node, interval, (np.full_like(x, -3.0), np.full_like(x, 3.0)))
        for sign, (c, offset) in zip((1, -1), parabolas(step.entries()), strict=True):
            for state in range(3):
                share = rng.random(shape)
                point = np.clip(
                    x[state] + (2 * share - 1) * width[state], *(e[state] for e in interval)
                )
                z = [Fraction(v) for v in point.tolist()]
                mean = sum(z) / len(z) if centered else Fraction(0)
                z = [v - mean for v in z]
                line = sum(Fraction(a) * v for a, v in zip(c[state, 0].tolist(), z, strict=True))
                squares = sign * sum(v * v for v in z)
                assert line + Fraction(float(offset[state, 0])) <= squares
