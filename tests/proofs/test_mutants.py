"""Decoded, altered and re-sealed certificates: none proves what is not so, and none crashes.

Two oracles. A proof of a property with a known counterexample must never be accepted, whatever it
says. And a structural mutant of a true proof is accepted only where exact arithmetic finds nothing
wrong with what it claims.
"""

from __future__ import annotations

import functools
import random
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import exact
import pytest
from proofcases import (
    ProofCase,
    box,
    case,
    certificate,
    far_apart,
    output_at_least,
    plateau,
    plateau_stream,
    problem,
    searched,
)
from prooftrees import EMPTY, HALVE, MIX, OPEN, SAFE, SPLIT, Tree, parse, refuted, varint

from absint.problem import Cell, Problem, Semantics
from absint.proofs.check import check
from absint.proofs.format import Certificate, CertificateError

SECONDS = 5.0
"""No mutant of these small proofs may take longer."""
Randomness = random.Random
Change = Callable[[Tree, Randomness], None]


@functools.cache
def proved(seed: int, activation: str) -> Certificate:
    kase = case(seed, activation)
    return searched(kase.graph, kase.safe)


def accepted(data: bytes, kase_graph: object) -> bool:
    """What the checker says of a file; anything but an answer or CertificateError is an error."""
    started = time.perf_counter()
    try:
        read = Certificate.from_bytes(data)
        return check(read, kase_graph).accepted  # type: ignore[arg-type]
    except CertificateError:
        return False
    finally:
        assert time.perf_counter() - started < SECONDS


def anywhere(tree: Tree, rng: Randomness, leaf: bool | None = None) -> Tree:
    """A random node: any, a leaf, or a split (the root where there is none)."""
    found = [n for n in tree.nodes() if leaf is None or (n.rule > SPLIT) is leaf]
    return rng.choice(found or [tree])


def widen(tree: Tree, rng: Randomness) -> None:
    """Removes a split: one of its parts is said to hold for the whole set."""
    node = anywhere(tree, rng, leaf=False)
    if node.parts:
        node.become(rng.choice(node.parts))


def swap_parts(tree: Tree, rng: Randomness) -> None:
    anywhere(tree, rng, leaf=False).parts.reverse()


def duplicate(tree: Tree, rng: Randomness) -> None:
    """One part stands in for the other."""
    node = anywhere(tree, rng, leaf=False)
    if node.parts:
        node.parts = [node.parts[0], node.parts[0].copy()]


def transplant(tree: Tree, rng: Randomness) -> None:
    """A subtree takes the place of another."""
    anywhere(tree, rng).become(anywhere(tree, rng))


def swap_leaves(tree: Tree, rng: Randomness) -> None:
    a, b = anywhere(tree, rng, leaf=True), anywhere(tree, rng, leaf=True)
    kept = a.copy()
    a.become(b)
    b.become(kept)


def other_dimension(tree: Tree, rng: Randomness) -> None:
    node = anywhere(tree, rng, leaf=False)
    if node.parts:
        node.numbers = [rng.choice([0, 1, 2, 130, 2**34])]


def move_cut(tree: Tree, rng: Randomness) -> None:
    node = anywhere(tree, rng, leaf=False)
    if node.parts:
        node.rule = SPLIT
        node.point = rng.choice(
            [rng.uniform(-1.2, 1.2), 0.0, 1.0, -1.0, 5.0, float("nan"), float("inf"), 5e-324]
        )


def relabel(tree: Tree, rng: Randomness) -> None:
    """Another rule for a leaf, with its operands."""
    node, rule = anywhere(tree, rng, leaf=True), rng.choice([SAFE, EMPTY, MIX, OPEN])
    counts = {SAFE: 2, EMPTY: 1, MIX: 5, OPEN: 0}
    node.rule = rule
    node.numbers = [rng.choice([0, 0, 1, 2, 100]) for _ in range(counts[rule])]


def other_operands(tree: Tree, rng: Randomness) -> None:
    node = anywhere(tree, rng, leaf=True)
    if node.numbers:
        place = rng.randrange(len(node.numbers))
        node.numbers[place] = rng.choice([0, 1, 2, 3, 127, 255])


def split_more(tree: Tree, rng: Randomness) -> None:
    """A leaf split in two, both claiming what it did: still a proof."""
    node = anywhere(tree, rng, leaf=True)
    leaf = node.copy()
    node.become(Tree(HALVE, [rng.randrange(2)], 0.0, [leaf, leaf.copy()]))


CHANGES: list[Change] = [
    widen,
    swap_parts,
    duplicate,
    transplant,
    swap_leaves,
    other_dimension,
    move_cut,
    relabel,
    other_operands,
    split_more,
]


def torn(data: bytes, rng: Randomness) -> bytes:
    """Streams that no tree gives: parts dropped, bytes added, numbers in longer form."""
    at = rng.randrange(len(data))
    kind = rng.randrange(5)
    if kind == 0:
        return data[:at] + data[at + rng.randrange(1, 4) :]
    if kind == 1:
        return data[:at] + rng.randbytes(rng.randrange(1, 5)) + data[at:]
    if kind == 2:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if kind == 3:
        return data[:at] + bytes([data[at] | 0x80, 0]) + data[at + 1 :]
    return data[:at] + data[rng.randrange(len(data)) :]


def structural(rng: Randomness, original: Certificate) -> tuple[Certificate, list[Tree]]:
    """One to three changes of the trees, each in one cell."""
    trees = [parse(p, c) for p, c in zip(original.proofs, original.problem.cells, strict=True)]
    for _ in range(rng.choice([1, 1, 2, 3])):
        rng.choice(CHANGES)(rng.choice(trees), rng)
    if rng.random() < 0.1:
        rng.shuffle(trees)
    return replace(original, proofs=tuple(tree.text() for tree in trees)), trees


SEEDS = [(1, "relu"), (2, "relu"), (3, "relu"), (2, "sigmoid"), (3, "tanh")]


def mutants_of_a_false_claim(count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        rng = random.Random(number)
        seed, activation = SEEDS[number % len(SEEDS)]
        kase, original = case(seed, activation), proved(seed, activation)
        changed = structural(rng, original)[0] if number % 3 else original
        if number % 3 != 1:
            cell = rng.randrange(2)
            proofs = list(changed.proofs)
            proofs[cell] = torn(proofs[cell], rng)
            changed = replace(changed, proofs=tuple(proofs))
        false = replace(changed, problem=kase.unsafe)
        assert not accepted(false.to_bytes(), kase.graph), number


def mutants_of_a_true_claim(count: int, start: int = 0) -> tuple[int, int]:
    """Numbers of mutants accepted and refused."""
    counts = [0, 0]
    for number in range(start, start + count):
        rng = random.Random(number)
        seed, activation = SEEDS[number % 3]
        kase, original = case(seed, activation), proved(seed, activation)
        changed, trees = structural(rng, original)
        if accepted(changed.to_bytes(), kase.graph):
            counts[0] += 1
            for cell, tree in zip(kase.safe.cells, trees, strict=True):
                assert refuted(kase.safe, cell, kase.graph, tree) is None, number
        else:
            counts[1] += 1
    return counts[0], counts[1]


@pytest.mark.parametrize(("seed", "activation"), SEEDS)
def test_the_counterexamples_are_real(seed: int, activation: str) -> None:
    """Exactly: the oracle of every test below."""
    kase = case(seed, activation)
    cell = kase.unsafe.cells[0 if kase.counterexample[0] <= 0 else 1]
    low, high = kase.unsafe.network_box(cell)
    for value, a, b in zip(kase.counterexample, low, high, strict=True):
        assert a <= value <= b
    assert all(row.holds(kase.counterexample, ()) for row in cell.constraints)
    (row,) = cell.catastrophe[0]
    y = exact.outputs(kase.graph, exact.evaluate(kase.graph, kase.counterexample))
    total = sum((exact.ball(c) * exact.ball(y[i]) for i, c in row.outputs), exact.ball(-row.bound))
    assert total < 0


def test_mutants_re_targeted_at_a_property_that_fails() -> None:
    mutants_of_a_false_claim(1_400)


def test_structural_mutants_of_a_property_that_holds() -> None:
    kept, refused = mutants_of_a_true_claim(600)
    assert kept > 30
    assert refused > 200


@pytest.mark.full
def test_ten_thousand_mutants() -> None:
    mutants_of_a_false_claim(7_000, start=10_000)
    mutants_of_a_true_claim(3_000, start=10_000)


def test_memory_stays_bounded() -> None:
    """The mutants above have run in this process: it has not grown beyond a small multiple."""
    mutants_of_a_false_claim(50, start=5_000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert peak < 3 * 2**30


def test_a_removed_split_is_refused() -> None:
    """Each split above a leaf of a minimal proof is needed: either part alone is not enough."""
    graph = plateau()
    claim = far_apart(graph, Fraction(6, 5))
    tree = parse(plateau_stream(), claim.cells[0])
    splits = [n for n in tree.nodes() if n.parts]
    assert len(splits) == 3
    for index in range(3):
        for part in (0, 1):
            changed = tree.copy()
            node = [n for n in changed.nodes() if n.parts][index]
            node.become(node.parts[part])
            data = certificate(graph, claim, [changed.text()]).to_bytes()
            assert not accepted(data, graph)


def test_parts_that_change_places_are_refused() -> None:
    graph = plateau()
    claim = far_apart(graph, Fraction(6, 5))
    for index in range(3):
        changed = parse(plateau_stream(), claim.cells[0])
        [n for n in changed.nodes() if n.parts][index].parts.reverse()
        assert not accepted(certificate(graph, claim, [changed.text()]).to_bytes(), graph)


def test_a_number_in_a_longer_form_is_refused() -> None:
    graph = plateau()
    claim = far_apart(graph, Fraction(6, 5))
    stream = plateau_stream()
    assert stream[:2] == bytes([HALVE, 0])
    longer = bytes([HALVE, 0x80, 0x00]) + stream[2:]
    assert not accepted(certificate(graph, claim, [longer]).to_bytes(), graph)
    assert varint(0) == b"\0"


def cases_of_cells(kase: ProofCase) -> list[tuple[str, Problem, tuple[bytes, ...]]]:
    original = proved(3, "relu")
    first, second = kase.safe.cells
    proofs = original.proofs
    grown = replace(first, box=box((-2, 0), (-1, 1)))
    return [
        ("a cell dropped", replace(kase.safe, cells=(first,)), proofs),
        ("a cell doubled", replace(kase.safe, cells=(first, first, second)), proofs),
        ("cells in another order", replace(kase.safe, cells=(second, first)), proofs),
        ("proofs in another order", kase.safe, proofs[::-1]),
        ("a cell larger than its proof", replace(kase.safe, cells=(grown, second)), proofs),
        ("a region's constraint dropped", without_constraints(kase.safe), proofs),
        ("outputs exchanged", exchanged(kase.safe), proofs),
        ("the proof of the other cell", kase.safe, (proofs[1], proofs[1])),
    ]


def without_constraints(claim: Problem) -> Problem:
    return replace(claim, cells=tuple(replace(c, constraints=()) for c in claim.cells))


def exchanged(claim: Problem) -> Problem:
    cells = [replace(c, catastrophe=c.catastrophe[::-1]) for c in claim.cells]
    return replace(claim, cells=tuple(cells))


def accepted_for(asked: Problem, proof: Certificate, kase: ProofCase) -> bool:
    try:
        return check(proof, kase.graph, asked).accepted
    except CertificateError:
        return False


@pytest.mark.parametrize("number", range(8))
def test_cells_and_problems_mixed_up(number: int) -> None:
    """Against the problem asked about all are refused; on their own, only what is true passes."""
    kase = case(3)
    name, claim, proofs = cases_of_cells(kase)[number]
    changed = replace(proved(3, "relu"), problem=claim, proofs=proofs)
    assert not accepted_for(kase.safe, changed, kase)
    if accepted(changed.to_bytes(), kase.graph):
        for cell, proof in zip(claim.cells, proofs, strict=True):
            assert refuted(claim, cell, kase.graph, parse(proof, cell)) is None, name


@pytest.mark.parametrize(
    "semantics", [Semantics(dtype="float64"), Semantics(inputs="representable")]
)
def test_altered_semantics(semantics: Semantics) -> None:
    """Of another problem than the one asked about, whether or not its bounds would hold."""
    kase = case(3)
    changed = replace(proved(3, "relu"), problem=replace(kase.safe, semantics=semantics))
    with pytest.raises(CertificateError):
        check(changed, kase.graph, kase.safe)


@pytest.mark.parametrize("field", ["model", "spec", "graph"])
def test_altered_digests(field: str) -> None:
    """Re-sealed, the graph's is caught here; the files' are compared by ``absint check``."""
    kase = case(3)
    values: dict[str, Any] = {field: "ab" * 32}
    changed = replace(proved(3, "relu"), **values)
    if field == "graph":
        assert not accepted(changed.to_bytes(), kase.graph)
    else:
        assert getattr(Certificate.from_bytes(changed.to_bytes()), field) == "ab" * 32


def test_a_catastrophe_that_is_weaker_takes_another_certificate() -> None:
    """The claim is the certificate's own: a reader must look at it, or ask with the spec."""
    graph = plateau()
    harmless = problem(graph, Cell(box((0, 2), (0, 2)), ((output_at_least(0, 99),),)))
    proof = certificate(graph, harmless, [Tree(SAFE, [0]).text()])
    assert accepted(proof.to_bytes(), graph)
    with pytest.raises(CertificateError, match="another problem"):
        check(proof, graph, far_apart(graph, Fraction(6, 5)))
