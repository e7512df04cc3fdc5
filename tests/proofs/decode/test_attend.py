"""The bounds of attention hold for every choice, with no tolerance, at every scale of scores."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from attentioncases import Choices, number
from flush import flush_to_zero

from absint.proofs.arithmetic import FloatArray
from absint.proofs.transformers import coupled
from absint.proofs.transformers.affine import Interval
from absint.proofs.transformers.attend import Attention, Entries

SCORES = (0.0, 0.1, 1.0, 5.0, 30.0, 300.0, 700.0, 760.0, 1e4, 1e150)
"""Sizes of scores; exp(-745) is the last that is not zero as a double."""
VALUES = (0.0, 1e-320, 1e-300, 1.0, 1e5, 1e300)


def exactly(x: FloatArray) -> Interval:
    return x, x


def wide(x: FloatArray, rng: random.Random) -> Interval:
    radius = rng.choice([1e-17, 1e-12, 1e-6, 0.1]) * np.abs(x)
    return x - radius, x + radius


def numbers(rng: random.Random, shape: tuple[int, ...], sizes: tuple[float, ...]) -> FloatArray:
    """Normal numbers of one size, with some of them equal, negated or of another size."""
    size = rng.choice(sizes)
    values = np.array([rng.gauss(0, 1) for _ in range(math.prod(shape))]) * size
    for place in range(values.size):
        kind = rng.randrange(8)
        if kind == 0:
            values[place] = values[0]
        elif kind == 1:
            values[place] = -values[0]
        elif kind == 2:
            values[place] = rng.choice(sizes)
    return values.reshape(shape)


def choices(rng: random.Random, intervals: bool) -> Choices:
    groups = rng.choice([1, 1, 2])
    heads = groups * rng.choice([1, 2])
    width, size, batch = rng.choice([1, 2]), rng.choice([1, 2]), rng.choice([1, 1, 3])
    counts = [rng.randint(1, 2 if intervals else 4) for _ in range(rng.randint(1, 3))]
    ends = (lambda x: wide(x, rng)) if intervals else exactly
    sets = [np.ones((batch, count), dtype=np.bool_) for count in counts]
    for own in sets:
        for row in own:
            row[:] = [rng.random() < 0.7 for _ in row]
            row[rng.randrange(len(row))] = True
    return Choices(
        ends(numbers(rng, (batch, heads * width), (1.0,))),
        [ends(numbers(rng, (count, groups * width), SCORES)) for count in counts],
        [ends(numbers(rng, (count, groups * size), VALUES)) for count in counts],
        sets,
        heads,
        groups,
        rng.choice([1.0, 0.5, -1.0, 0.0, 1e-310]),
    )


def holds(case: Choices, rng: random.Random, flush: bool) -> None:
    """Bounds of directions of every size, shared by the states or their own, are no larger."""
    batch, size = len(case.query[0]), case.values[0][0].shape[1] // case.groups * case.heads
    shape = (rng.choice([1, batch]), 2, size)
    c = numbers(rng, shape, (1.0, 1.0, 1e-310, 1e-200, 1e7))
    with np.errstate(all="ignore"), flush_to_zero(flush):
        attention = case.bounds()
        found, (lower, upper) = attention.minimum(c), attention.hull()
    assert found.shape == (batch, 2)
    assert not np.isnan(found).any()
    for state in range(batch):
        own = np.concatenate([c[min(state, len(c) - 1)], np.eye(size), -np.eye(size)])
        least = case.least(state, own, rng)
        hull = np.concatenate([lower[state], -upper[state]])
        for bound, truth in zip([*found[state], *hull], least, strict=True):
            assert bound == -math.inf or not truth < number(float(bound)), (bound, truth)


def couples(case: Choices, rng: random.Random, flush: bool) -> int:
    """Bounds of all heads and of functions of single slots over one text are no larger; how many
    are finite."""
    batch, size = len(case.query[0]), case.values[0][0].shape[1] // case.groups * case.heads
    c = numbers(rng, (rng.choice([1, batch]), 2, size), (1.0, 1.0, 1e-310, 1e-200, 1e7))
    longest = max(own.shape[1] for own in case.sets)
    fixed = numbers(rng, (batch, 2, len(case.sets), longest), (0.0, 1.0, 1e-310, 1e7))
    for place, own in enumerate(case.sets):
        closed = np.pad(~own, ((0, 0), (0, longest - own.shape[1])), constant_values=True)
        fixed[:, :, place] = np.where(closed[:, None], np.inf, fixed[:, :, place])
    with np.errstate(all="ignore"), flush_to_zero(flush):
        attention = case.bounds()
        parts, slots = coupled.heads(attention, c), np.arange(len(case.sets))
        assert coupled.couples(attention)
        assert coupled.slots(attention) == set(slots.tolist())
        if not parts:
            return 0
        found = coupled.minimum(fixed, slots, np.arange(longest), parts)
    assert found.shape == (batch, 2)
    assert not np.isnan(found).any()
    for state in range(batch):
        truths = case.least(state, c[min(state, len(c) - 1)], rng, fixed[state])
        for bound, truth in zip(found[state], truths, strict=True):
            assert bound == -math.inf or not truth < number(float(bound)), (bound, truth)
    return int(np.isfinite(found).sum())


@pytest.mark.parametrize("flush", [False, True])
def test_all_heads_and_tables_over_one_text_are_bounded(flush: bool) -> None:
    finite = 0
    for seed in range(24):
        rng = random.Random(2_000 + seed)
        finite += couples(choices(rng, intervals=seed % 3 == 0), rng, flush)
    assert finite > 24


@pytest.mark.full
def test_many_heads_and_tables_over_one_text_are_bounded() -> None:
    for seed in range(3_000):
        rng = random.Random(20_000 + seed)
        couples(choices(rng, intervals=seed % 3 == 0), rng, seed % 2 == 0)


def test_a_slot_that_is_read_twice_is_not_coupled() -> None:
    """Its terms would have to be added."""
    one, ends = np.ones((1, 1, 1, 1, 1)), np.ones((1, 1))
    part = Entries((one, one), (one, one), None, (np.array([0]), np.array([[0]])))
    assert coupled.couples(Attention((ends, ends), [part], 1, 1, 1.0))
    assert not coupled.couples(Attention((ends, ends), [part, part], 1, 1, 1.0))


def test_a_direction_that_reads_as_zero_is_bounded_over_one_text() -> None:
    """Times values this large, what a processor reads as zero is not nothing."""
    one, two, far = np.array([[1.0]]), np.ones((2, 1)), np.array([[1e300], [2e300]])
    sets = [np.ones((1, 2), dtype=np.bool_)]
    case = Choices(exactly(one), [exactly(two)], [exactly(far)], sets, 1, 1, 1.0)
    c = np.array([[[-1e-309]]])
    with np.errstate(all="ignore"), flush_to_zero():
        parts = coupled.heads(case.bounds(), c)
        assert not coupled.heads(case.bounds(), -0.0 * c)
        found = coupled.minimum(np.zeros((1, 1, 1, 2)), np.array([0]), np.arange(2), parts)
    (truth,) = case.least(0, c[0], random.Random(0))
    assert truth < 0
    assert not truth < number(float(found[0, 0]))


def test_sums_of_weights_hold_for_many_parts() -> None:
    """Against the exact sums of what each part gives, none of which is rounded up or down yet."""
    for seed in range(12):
        rng = random.Random(seed)
        keys = [exactly(numbers(rng, (1, 1, 1, 1, 1), (1.0,))) for _ in range(60)]
        one = exactly(np.ones((1, 1)))
        attention = Attention(one, [Entries(key, key, None) for key in keys], 1, 1, 1.0)
        low, high = (
            sum(Fraction(float(getattr(part, end)[0, 0, 0])) for part in attention.parts)
            for end in ("least", "most")
        )
        assert Fraction(float(attention.least[0, 0, 0])) <= low
        assert Fraction(float(attention.most[0, 0, 0])) >= high


def test_one_head_alone_loses_little_by_coupling() -> None:
    """With one head and no tables the coupled bound is that of the head: within 1e-3."""
    for seed in range(30):
        rng = random.Random(seed)
        counts = [rng.randint(1, 4) for _ in range(3)]
        case = Choices(
            exactly(numbers(rng, (1, 2), (1.0,))),
            [exactly(numbers(rng, (count, 2), (0.1, 0.3))) for count in counts],
            [exactly(numbers(rng, (count, 2), (1.0,))) for count in counts],
            [np.ones((1, count), dtype=np.bool_) for count in counts],
            1,
            1,
            1.0,
        )
        c = numbers(rng, (1, 1, 2), (1.0,))
        open_ = np.where(np.arange(4) < np.array(counts)[:, None], 0.0, np.inf)[None, None]
        parts = coupled.heads(case.bounds(), c)
        found = coupled.minimum(open_, np.arange(3), np.arange(4), parts)[0, 0]
        (truth,) = case.least(0, c[0], rng)
        assert found >= float(truth.mid()) - 1e-3 * (1 + float(np.abs(c).sum()))


@pytest.mark.parametrize("flush", [False, True])
def test_every_choice_is_bounded(flush: bool) -> None:
    for seed in range(300):
        rng = random.Random(seed)
        holds(choices(rng, intervals=False), rng, flush)


@pytest.mark.parametrize("flush", [False, True])
def test_every_choice_of_intervals_is_bounded(flush: bool) -> None:
    for seed in range(60):
        rng = random.Random(1_000 + seed)
        holds(choices(rng, intervals=True), rng, flush)


@pytest.mark.full
def test_many_choices_are_bounded() -> None:
    for seed in range(5_000):
        rng = random.Random(10_000 + seed)
        holds(choices(rng, intervals=seed % 3 == 0), rng, seed % 2 == 0)


def test_moderate_scores_cost_little() -> None:
    """The bound is the least value: within 1e-4 after its few rounds."""
    for seed in range(40):
        rng = random.Random(seed)
        counts = [rng.randint(1, 4) for _ in range(3)]
        case = Choices(
            exactly(numbers(rng, (1, 2), (1.0,))),
            [exactly(numbers(rng, (count, 2), (0.0, 1.0, 3.0))) for count in counts],
            [exactly(numbers(rng, (count, 2), (1.0,))) for count in counts],
            [np.ones((1, count), dtype=np.bool_) for count in counts],
            1,
            1,
            1.0,
        )
        c = numbers(rng, (1, 1, 2), (1.0,))
        (truth,) = case.least(0, c[0], rng)
        found = float(case.bounds().minimum(c)[0, 0])
        assert found >= float(truth.mid()) - 1e-4 * (1 + float(np.abs(c).sum()))


def one_head(scores: list[list[float]], values: list[list[float]]) -> Attention:
    """Positions of entries with these scores and values."""
    keys, reads = (np.array(x).T[None, None, :, :, None] for x in (scores, values))
    query = np.ones((1, 1))
    return Attention((query, query), [Entries((keys, keys), (reads, reads), None)], 1, 1, 1.0)


@pytest.mark.parametrize("far", [690.0, 700.0, 720.0, 746.0, 800.0, 1e4, 1e300])
def test_weights_that_underflow_prove_nothing_false(far: float) -> None:
    """No lower bound of the sum of weights is left: the least value has to do."""
    for values in ([[0.9, 0.3], [0.8, 0.4]], [[1.0, -1.0], [0.5, -0.25]], [[-1.0, 1.0]] * 2):
        with np.errstate(all="ignore"):
            attention = one_head([[far, 0.0], [far, 0.0]], values)
            found = attention.minimum(np.array([[[1.0], [-1.0]]]))[0]
        assert found[0] <= min(map(min, values))
        assert found[1] <= -max(map(max, values))


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_proves_nothing(broken: float) -> None:
    c = np.array([[[1.0], [-1.0]]])
    with np.errstate(all="ignore"):
        value = one_head([[0.0, 1.0]], [[broken, 1.0]]).minimum(c)[0]
        score = one_head([[broken, 0.0], [1.0, 0.0]], [[2.0, 1.0], [0.0, -1.0]]).minimum(c)[0]
    assert not (value > 1).any()
    assert value[0] == -math.inf
    assert score[0] <= -1
    assert score[1] <= -2


def test_a_position_that_no_state_may_leave_out() -> None:
    """One position and one entry: the output is its value, whatever the score."""
    with np.errstate(all="ignore"):
        for score in (-1e300, -1.0, 0.0, 1e300):
            found = one_head([[score]], [[0.75]]).minimum(np.array([[[1.0], [-1.0]]]))[0]
            assert 0.75 - 1e-12 < found[0] <= 0.75
            assert -0.75 - 1e-12 < found[1] <= -0.75
