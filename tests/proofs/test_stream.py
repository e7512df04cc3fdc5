"""The grammar of proof streams: one text a proof, no references, every part of every split."""

from __future__ import annotations

import struct
import time
import tracemalloc
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from absint.proofs.format import CertificateError
from absint.proofs.leaves import MAX_DEPTH, Phase, leaves, middle
from absint.proofs.stream import (
    Arity,
    Rule,
    Step,
    Writer,
    multiplier,
    nearest_multiplier,
    steps,
)

ARITY = Arity(conjunctions=2, weights=3, neurons={3: 2, 5: 1})
QUICK = settings(max_examples=300, deadline=None)
SAFE = bytes([Rule.SAFE, 0, 0])
OPEN = bytes([Rule.OPEN])


def written(found: list[Step]) -> bytes:
    """The stream of a list of rules, by the writer."""
    writer = Writer()
    for step in found:
        writer.step(step)
    return writer.to_bytes()


numbers = st.one_of(st.integers(0, 300), st.integers(0, 2**35 - 1))
rules = st.one_of(
    st.builds(lambda d: Step(Rule.HALVE, (d,)), numbers),
    st.builds(lambda d, p: Step(Rule.SPLIT, (d,), p), numbers, st.floats(allow_nan=False)),
    st.builds(lambda a, b: Step(Rule.SAFE, (a, b)), numbers, numbers),
    st.builds(lambda a: Step(Rule.EMPTY, (a,)), numbers),
    st.just(Step(Rule.OPEN)),
    st.builds(lambda n, e: Step(Rule.PHASE, (n, e)), numbers, numbers),
    st.builds(lambda s: Step(Rule.SLOPES, slopes=s), st.binary(min_size=6, max_size=6)),
    st.builds(lambda s: Step(Rule.RELAX, slopes=s), st.binary(min_size=3, max_size=3)),
)


@st.composite
def proofs(draw: st.DrawFn) -> list[Step]:
    """Complete lists of rules in preorder."""
    found: list[Step] = []
    missing = [0]  # the phases above each proof that is to come
    while missing:
        step, phases = draw(rules), missing.pop()
        if draw(st.integers(0, 5)) == 0:
            size = ARITY.weights + ARITY.conjunctions * phases
            step = Step(Rule.MIX, tuple(draw(st.binary(min_size=size, max_size=size))))
        if len(found) > 12 and step.rule.parts:
            step = Step(Rule.OPEN)
        found.append(step)
        missing += [phases + (step.rule is Rule.PHASE)] * step.rule.parts
    return found


@QUICK
@given(proofs())
def test_reads_what_was_written(proof: list[Step]) -> None:
    assert list(steps(written(proof), ARITY)) == proof


@QUICK
@given(st.one_of(st.binary(max_size=40), proofs().map(written)), st.data())
def test_one_text_a_proof_and_no_references(data: bytes, draw: st.DataObject) -> None:
    """What is read writes itself back, byte by byte, so every byte belongs to one rule.

    Rules stand in preorder and have nothing but numbers of dimensions, constraints, neurons,
    weights, slopes and a point as operands: there is no way to name another rule, hence none to
    leave a part out, to share one, or to build a cycle. Each rule but the first is a part of one.
    """
    if data and draw.draw(st.booleans()):
        at = draw.draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([draw.draw(st.integers(0, 255))]) + data[at + 1 :]
    try:
        found = list(steps(data, ARITY))
    except CertificateError:
        return
    assert len(found) == sum(step.rule.parts for step in found) + 1
    if not any(step.point is not None and step.point != step.point for step in found):
        assert written(found) == data


@QUICK
@given(proofs().map(written), st.integers(1, 30))
def test_a_truncated_proof_is_refused(data: bytes, cut: int) -> None:
    for end in {0, len(data) // 2, max(0, len(data) - cut)} - {len(data)}:
        with pytest.raises(CertificateError, match="ends"):
            list(steps(data[:end], ARITY))
    with pytest.raises(CertificateError, match="bytes follow"):
        list(steps(data + OPEN, ARITY))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends before all parts"),
        (bytes([Rule.HALVE, 0]) + SAFE, "ends before all parts"),
        (SAFE + SAFE, "bytes follow"),
        (bytes([9]), "unknown rule"),
        (bytes([Rule.PHASE, 3]), "ends inside a number"),
        (bytes([Rule.PHASE, 3, 0]) + SAFE, "ends before all parts"),
        (bytes([Rule.PHASE, 3, 0]) + SAFE + bytes([Rule.MIX, 1, 2, 3, 4]), "ends inside a list of"),
        (bytes([Rule.SLOPES, 1, 2, 3, 4, 5]), "ends inside a list of slopes"),
        (bytes([Rule.SLOPES, 1, 2, 3, 4, 5, 6]), "ends before all parts"),
        (bytes([Rule.RELAX, 1, 2]), "ends inside a list of slopes"),
        (bytes([Rule.RELAX, 1, 2, 3]), "ends before all parts"),
        (bytes([255]), "unknown rule"),
        (bytes([Rule.SAFE, 0x80, 0x00, 0]), "shortest form"),
        (bytes([Rule.SAFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0]), "too long"),
        (bytes([Rule.SAFE, 0]), "ends inside a number"),
        (bytes([Rule.EMPTY, 0x80]), "ends inside a number"),
        (bytes([Rule.SPLIT, 0, 1, 2, 3]), "ends inside a split"),
        (bytes([Rule.MIX, 1, 2]), "ends inside a list of weights"),
    ],
)
def test_ill_formed_streams(data: bytes, message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        list(steps(data, ARITY))


def split(dimension: int, point: float) -> bytes:
    return bytes([Rule.SPLIT, dimension]) + struct.pack("<d", point)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bytes([Rule.HALVE, 2]) + 2 * SAFE, "does not exist"),
        (split(7, 0.1) + 2 * SAFE, "does not exist"),
        (split(0, 0.5) + 2 * SAFE, "not written as one"),
        (split(0, 0.0) + 2 * SAFE, "outside"),
        (split(0, 1.0) + 2 * SAFE, "outside"),
        (split(0, -0.5) + 2 * SAFE, "outside"),
        (split(0, 2.0) + 2 * SAFE, "outside"),
        (split(0, float("nan")) + 2 * SAFE, "outside"),
        (split(0, float("inf")) + 2 * SAFE, "outside"),
        (split(0, 0.25) + split(0, 0.75) + 3 * SAFE, "outside"),
        (bytes([Rule.HALVE, 1]) + 2 * SAFE, "outside"),
        (split(1, 3.0) + 2 * SAFE, "not written as one"),
        (split(1, 4.0) + 2 * SAFE, "outside"),
    ],
)
def test_splits_that_do_not_cover(data: bytes, message: str) -> None:
    """On [0, 1] x [3, 3]: a cut lies strictly inside its dimension at that place of the tree."""
    with pytest.raises(CertificateError, match=message):
        list(leaves(data, (0.0, 3.0), (1.0, 3.0), ARITY))


def phase(node: int, entry: int) -> bytes:
    return bytes([Rule.PHASE, node, entry])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (phase(0, 0) + 2 * SAFE, "of node 0, which has none"),
        (phase(4, 0) + 2 * SAFE, "of node 4, which has none"),
        (phase(3, 2) + 2 * SAFE, "neuron 2 of node 3, which has none"),
        (phase(5, 1) + 2 * SAFE, "neuron 1 of node 5, which has none"),
        (phase(3, 0) + phase(3, 0) + 3 * SAFE, "divided twice"),
        (phase(3, 0) + phase(3, 1) + SAFE + phase(3, 0) + 3 * SAFE, "divided twice"),
        (phase(3, 0) + SAFE + phase(5, 0) + SAFE + phase(3, 0) + 2 * SAFE, "divided twice"),
        (phase(3, 0) + bytes([Rule.HALVE, 0]) + phase(3, 0) + 4 * SAFE, "divided twice"),
    ],
)
def test_phases_of_what_has_none(data: bytes, message: str) -> None:
    """A neuron exists, and is divided once on a path."""
    with pytest.raises(CertificateError, match=message):
        list(leaves(data, (0.0, 3.0), (1.0, 3.0), ARITY))


def test_a_neuron_is_divided_once_on_each_path() -> None:
    """Siblings know nothing of one another; boxes, phases and slopes are those of the path."""
    outer, inner = bytes(range(6)), bytes(range(6, 12))
    writer = Writer()
    writer.slopes(outer)
    writer.halve(0)
    writer.phase(3, 1)
    writer.phase(5, 0)
    writer.safe([0, 0])
    writer.mix([1, 2, 3, 4, 5, 6, 7])
    writer.slopes(inner)
    writer.halve(0)
    writer.open()
    writer.phase(5, 0)
    writer.open()
    writer.safe([1, 1])
    writer.phase(3, 1)
    writer.open()
    writer.empty(0)
    found = list(leaves(writer.to_bytes(), (0.0, 3.0), (1.0, 3.0), ARITY))
    low, high = Phase(3, 1, False), Phase(3, 1, True)
    off, on = Phase(5, 0, False), Phase(5, 0, True)
    assert [(leaf.lower[0], leaf.upper[0], leaf.phases) for leaf in found] == [
        (0, 0.5, (low, off)),
        (0, 0.5, (low, on)),
        (0, 0.25, (high,)),
        (0.25, 0.5, (high, off)),
        (0.25, 0.5, (high, on)),
        (0.5, 1, (low,)),
        (0.5, 1, (high,)),
    ]
    assert [leaf.slopes for leaf in found] == [outer] * 2 + [inner] * 3 + [outer] * 2
    assert found[1].choices == (1, 2, 3, 4, 5, 6, 7)
    assert [found[i].block is found[i + 1].block for i in range(6)] == [1, 0, 0, 1, 0, 1]
    outers = [leaf.outer for leaf in found]
    assert all(a is not None and (a.lower[0], a.upper[0]) == (0, 0.5) for a in outers[:5])
    assert all(a is not None and (a.lower[0], a.upper[0]) == (0.5, 1) for a in outers[5:])


def test_multipliers_are_small_floats() -> None:
    assert multiplier(0) == 0
    assert [multiplier(byte) for byte in range(152, 160)] == [8, 9, 10, 11, 12, 13, 14, 15]
    assert (multiplier(1), multiplier(255)) == (9 * 2.0**-19, 15 * 2.0**12)
    values = [multiplier(byte) for byte in range(256)]
    assert values == sorted(set(values))
    assert [nearest_multiplier(value) for value in values] == list(range(256))


@QUICK
@given(st.floats(allow_nan=False))
def test_the_nearest_multiplier_is_the_nearest(value: float) -> None:
    if abs(value) == float("inf"):
        assert nearest_multiplier(value) == (255 if value > 0 else 0)
        return
    exact = Fraction(value)
    off = [abs(Fraction(multiplier(byte)) - exact) for byte in range(256)]
    assert abs(Fraction(multiplier(nearest_multiplier(value))) - exact) == min(off)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_leaves_tile_the_box(data: st.DataObject) -> None:
    """The boxes of the leaves cover the root exactly: volumes add up, and none leaves it."""
    root = ((-1.0, 0.0, 5.0), (2.0, 1.0, 5.5))

    def proof(low: list[float], high: list[float], depth: int) -> bytes:
        kind = data.draw(st.sampled_from("hps" if depth else "s"))
        dimension = data.draw(st.integers(0, 2))
        centre = middle(low[dimension], high[dimension])
        share = data.draw(st.floats(0.01, 0.99))
        cut = centre if kind == "h" else low[dimension] * (1 - share) + high[dimension] * share
        if kind == "s" or not low[dimension] < cut < high[dimension]:
            return SAFE
        text = bytes([Rule.HALVE, dimension]) if cut == centre else split(dimension, cut)
        parts = [list(high), list(low)]
        parts[0][dimension] = parts[1][dimension] = cut
        return text + proof(low, parts[0], depth - 1) + proof(parts[1], high, depth - 1)

    stream = proof(list(root[0]), list(root[1]), 5)
    volume = Fraction(0)
    for leaf in leaves(stream, *root, ARITY):
        part = Fraction(1)
        for low, high, first, last in zip(leaf.lower, leaf.upper, *root, strict=True):
            assert first <= low < high <= last
            part *= Fraction(high) - Fraction(low)
        volume += part
    assert volume == Fraction(3, 2)


def test_depth_is_limited_and_reached_in_bounded_time() -> None:
    """Forty halvings of each of 400 dimensions are too deep."""
    size = 400
    text, low, high = bytearray(), [0.0] * size, [1.0] * size
    for dimension in range(size):
        writer = Writer()
        writer.halve(dimension)
        text += writer.to_bytes() * 40
    started = time.perf_counter()
    with pytest.raises(CertificateError, match="nested more than"):
        list(leaves(bytes(text) + SAFE * (40 * size + 1), low, high, ARITY))
    assert MAX_DEPTH == 10_000
    assert time.perf_counter() - started < 2


def test_memory_grows_with_depth_only() -> None:
    """Thousands of leaves one after another take no more memory than a few."""
    count = 12

    def full(dimension: int) -> bytes:
        if dimension == count:
            return SAFE
        part = full(dimension + 1)
        return bytes([Rule.HALVE, dimension]) + part + part

    text = full(0)
    tracemalloc.start()
    total = sum(1 for _ in leaves(text, [0.0] * count, [1.0] * count, ARITY))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 2**count
    assert peak < 50_000


def test_slopes_for_all_bounds_are_those_of_the_box() -> None:
    """The nearest ones above count, and a box with others is another box."""
    outer, inner = bytes(range(3)), bytes(range(3, 6))
    writer = Writer()
    writer.halve(0)
    writer.relax(outer)
    writer.phase(3, 1)
    writer.safe([0, 0])
    writer.relax(inner)
    writer.halve(0)
    writer.safe([0, 0])
    writer.open()
    writer.safe([0, 0])
    found = list(leaves(writer.to_bytes(), (0.0, 3.0), (1.0, 3.0), ARITY))
    assert [(leaf.lower[0], leaf.upper[0]) for leaf in found] == [
        (0, 0.5),
        (0, 0.25),
        (0.25, 0.5),
        (0.5, 1),
    ]
    assert [leaf.block.slopes for leaf in found] == [outer, inner, inner, None]
    assert len({leaf.block.number for leaf in found}) == 4
