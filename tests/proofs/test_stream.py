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
from absint.proofs.stream import MAX_DEPTH, Arity, Rule, Step, Writer, leaves, middle, steps

ARITY = Arity(conjunctions=2, weights=3)
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
    st.builds(lambda w: Step(Rule.MIX, tuple(w)), st.binary(min_size=3, max_size=3)),
    st.just(Step(Rule.OPEN)),
)


@st.composite
def proofs(draw: st.DrawFn) -> list[Step]:
    """Complete lists of rules in preorder."""
    found: list[Step] = []
    missing = 1
    while missing:
        step = draw(rules)
        if len(found) > 12 and step.rule <= Rule.SPLIT:
            step = Step(Rule.OPEN)
        found.append(step)
        missing += 1 if step.rule <= Rule.SPLIT else -1
    return found


@QUICK
@given(proofs())
def test_reads_what_was_written(proof: list[Step]) -> None:
    assert list(steps(written(proof), ARITY)) == proof


@QUICK
@given(st.one_of(st.binary(max_size=40), proofs().map(written)), st.data())
def test_one_text_a_proof_and_no_references(data: bytes, draw: st.DataObject) -> None:
    """What is read writes itself back, byte by byte, so every byte belongs to one rule.

    Rules stand in preorder and have nothing but numbers of dimensions, constraints, weights and a
    point as operands: there is no way to name another rule, hence none to leave a part out, to
    share one, or to build a cycle. A tree with n splits has n + 1 leaves.
    """
    if data and draw.draw(st.booleans()):
        at = draw.draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([draw.draw(st.integers(0, 255))]) + data[at + 1 :]
    try:
        found = list(steps(data, ARITY))
    except CertificateError:
        return
    splits = sum(step.rule <= Rule.SPLIT for step in found)
    assert len(found) == 2 * splits + 1
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
        (bytes([6]), "unknown rule"),
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
