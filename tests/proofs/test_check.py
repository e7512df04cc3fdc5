"""The checker accepts nothing by default: traps, mix-ups, limits."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from flush import flush_to_zero
from proofcases import (
    box,
    case,
    certificate,
    far_apart,
    output_at_least,
    plateau,
    plateau_stream,
    problem,
    random_network,
    searched,
)

from absint.ir import Constant, Graph, GraphBuilder, GraphFormatError, from_bytes, to_bytes
from absint.problem import Cell, Problem, ProblemError, Semantics, constraint
from absint.proofs import backward, rows
from absint.proofs.check import CheckReport, check
from absint.proofs.coverage import survey
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.stream import Rule, Writer

PROOF = plateau_stream()
OPEN, SAFE = bytes([Rule.OPEN]), bytes([Rule.SAFE, 0, 0])
SAFER = Fraction(6, 5)


def report(proof: bytes, bound: Fraction = SAFER) -> CheckReport:
    graph = plateau()
    return check(certificate(graph, far_apart(graph, bound), [proof]), graph)


def test_a_report_that_has_seen_nothing_is_not_accepted() -> None:
    assert not CheckReport().accepted


def test_the_hand_written_proof_is_accepted() -> None:
    found = report(PROOF)
    assert found.accepted
    assert (found.leaves, found.open_leaves, found.rejected) == (4, 0, [])
    assert found.open_share == [0]


@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_change_nothing(jobs: int) -> None:
    kase = case(3)
    proof = searched(kase.graph, kase.safe)
    found = check(proof, kase.graph, kase.safe, jobs=jobs)
    assert found.accepted
    assert found.leaves > 20
    assert not check(replace(proof, problem=kase.unsafe), kase.graph, jobs=jobs).accepted


def test_one_open_leaf_is_enough_to_refuse() -> None:
    found = report(PROOF[:-3] + OPEN)
    assert not found.accepted
    assert (found.leaves, found.open_leaves, found.rejected) == (4, 1, [])
    assert found.open_share == [Fraction(1, 4)]


def test_a_leaf_that_does_not_hold_is_named() -> None:
    found = report(SAFE)
    assert not found.accepted
    (item,) = found.rejected
    assert (item.cell, item.leaf) == (0, 0)
    assert "does not prove" in item.reason


@pytest.mark.parametrize(
    "operands", [[2, 0], [0, 1], [7, 7], [2**35 - 1, 0]], ids=["own", "other", "far", "largest"]
)
def test_a_constraint_that_does_not_exist(operands: list[int]) -> None:
    writer = Writer()
    writer.safe(operands)
    found = report(writer.to_bytes())
    assert not found.accepted
    assert "does not exist" in found.rejected[0].reason


def test_empty_needs_a_constraint_of_the_region() -> None:
    """Index 0 must not reach into the catastrophe's rows where the region has none."""
    for index in (0, 1, 2, 3):
        writer = Writer()
        writer.empty(index)
        found = report(writer.to_bytes())
        assert not found.accepted
        assert "does not exist" in found.rejected[0].reason


@pytest.mark.parametrize("weights", [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0], [255, 255, 0]])
def test_mix_needs_weight_on_every_conjunction(weights: list[int]) -> None:
    """A sum of nothing is zero, and refutes nothing."""
    writer = Writer()
    writer.mix(weights)
    assert not report(writer.to_bytes()).accepted


def strict_case(strict: bool, bound: int = 0) -> tuple[Graph, Problem]:
    """y = x on [0, 1] with catastrophe y < 0 or y <= 0, and y + x <= bound."""
    builder = GraphBuilder()
    x = builder.input("x", (1,))
    y = builder.add("scale", [x], consts={"weight": Constant(np.ones(()))})
    graph = builder.build({"y": y})
    low = constraint((), [(0, Fraction(1))], Fraction(bound), strict)
    also = constraint([(0, Fraction(1))], [(0, Fraction(1))], Fraction(bound), strict)
    return graph, problem(graph, Cell(box((0, 1)), ((low, also),)))


def test_a_closed_constraint_at_its_end_is_never_refuted() -> None:
    """y <= 0 has the solution x = 0."""
    graph, claim = strict_case(strict=False)
    safe, mix = Writer(), Writer()
    safe.safe([0])
    mix.mix([1, 1])
    for writer in (safe, mix):
        assert not check(certificate(graph, claim, [writer.to_bytes()]), graph).accepted


def test_weights_of_strict_and_closed_constraints() -> None:
    """x <= 0 and -x <= 0 hold at 0; made strict on one side they never do."""
    builder = GraphBuilder()
    graph = builder.build({"y": builder.input("x", (1,))})
    for strict in (False, True):
        low = constraint((), [(0, Fraction(1))], Fraction(0), strict)
        high = constraint((), [(0, Fraction(-1))], Fraction(0))
        claim = problem(graph, Cell(box((-1, 1)), ((low, high),)))
        writer = Writer()
        writer.mix([1, 1])
        found = check(certificate(graph, claim, [writer.to_bytes()]), graph)
        assert not found.accepted or strict


def test_a_proof_of_another_network() -> None:
    graph = plateau()
    proof = certificate(graph, far_apart(graph, SAFER), [PROOF])
    with pytest.raises(CertificateError, match="another network"):
        check(proof, random_network(1, (2, 2, 2)))
    with pytest.raises(CertificateError, match="another network"):
        check(replace(proof, graph="0" * 64), graph)


def test_a_proof_of_another_problem() -> None:
    graph = plateau()
    proof = certificate(graph, far_apart(graph, SAFER), [PROOF])
    other = far_apart(graph, 1)
    with pytest.raises(CertificateError, match="another problem"):
        check(proof, graph, other)
    renamed = replace(proof.problem, name="q")
    with pytest.raises(CertificateError, match="another problem"):
        check(proof, graph, renamed)
    rounded = replace(proof.problem, semantics=Semantics(inputs="representable"))
    with pytest.raises(CertificateError, match="another problem"):
        check(proof, graph, rounded)


def test_sizes_and_types_must_be_the_networks() -> None:
    graph = plateau()
    claim = far_apart(graph, SAFER)
    wide = Problem("p", 2, 3, claim.cells)
    with pytest.raises(CertificateError, match="sizes"):
        check(certificate(graph, wide, [PROOF]), graph)
    double = replace(claim, semantics=Semantics(dtype="float64"))
    with pytest.raises(CertificateError, match="type"):
        check(certificate(graph, double, [PROOF]), graph)


@pytest.mark.parametrize("proofs", [[], [b""], [PROOF, PROOF], [PROOF, b""]])
def test_one_proof_a_cell_and_none_of_them_empty(proofs: list[bytes]) -> None:
    graph = plateau()
    with pytest.raises(CertificateError):
        check(certificate(graph, far_apart(graph, SAFER), proofs), graph)


def two_cells(graph: Graph) -> Problem:
    cell = far_apart(graph, SAFER).cells[0]
    other = Cell(box((0, 1), (0, 1)), cell.catastrophe)
    return problem(graph, cell, other)


def test_every_cell_needs_its_own_proof() -> None:
    graph = plateau()
    claim = two_cells(graph)
    assert check(certificate(graph, claim, [PROOF, SAFE]), graph).accepted
    with pytest.raises(CertificateError, match="outside its interval"):
        check(certificate(graph, claim, [SAFE, PROOF]), graph)
    for proofs in ([PROOF], [SAFE], [PROOF, SAFE, SAFE]):
        with pytest.raises(CertificateError):
            check(certificate(graph, claim, proofs), graph)
        with pytest.raises(CertificateError):
            Certificate.from_bytes(certificate(graph, claim, proofs).to_bytes())


def test_problems_that_claim_nothing_cannot_be_made() -> None:
    graph = plateau()
    cell = far_apart(graph, SAFER).cells[0]
    for cells in ((), (replace(cell, catastrophe=()),), (replace(cell, catastrophe=((),)),)):
        with pytest.raises(ProblemError):
            problem(graph, *cells)


def test_a_region_without_floats_is_refused() -> None:
    graph = plateau()
    narrow = box(
        (Fraction(1, 10) + Fraction(1, 10**12), Fraction(1, 10) + Fraction(2, 10**12)), (0, 1)
    )
    cell = replace(far_apart(graph, SAFER).cells[0], box=narrow)
    claim = replace(problem(graph, cell), semantics=Semantics(inputs="representable"))
    for run in (check, survey):
        with pytest.raises(CertificateError, match="no region"):
            run(certificate(graph, claim, [SAFE]), graph)


def test_numbers_beyond_the_floats() -> None:
    """Refused or not proved; never an error of the interpreter."""
    graph = plateau()
    huge = Fraction(10) ** 400
    far = replace(far_apart(graph, SAFER).cells[0], box=box((0, huge), (0, 1)))
    with pytest.raises(CertificateError, match="no region"):
        check(certificate(graph, problem(graph, far), [SAFE]), graph)
    for bound in (huge, -huge):
        claim = far_apart(graph, SAFER)
        row = constraint((), [(0, huge if bound > 0 else Fraction(1))], bound)
        cell = replace(claim.cells[0], catastrophe=((row, row), (row,)))
        found = check(certificate(graph, problem(graph, cell), [SAFE]), graph)
        assert found.accepted is (bound < 0)  # distance <= -10^400 never holds


def test_a_graph_with_nan_cannot_be_read() -> None:
    data = to_bytes(plateau())
    one = np.float64(1.0).tobytes()
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(GraphFormatError, match="NaN or infinite"):
            from_bytes(data.replace(one, np.float64(value).tobytes(), 1))


def test_a_port_that_is_not_a_node_cannot_be_read() -> None:
    """Node -1 would read as the last node in Python, and the bounds would never reach it."""
    data = to_bytes(plateau())
    nodes = len(plateau().nodes)
    for node in (-1, -nodes, nodes, 10**9):
        changed = data.replace(b'"node":3', b'"node":%d' % node)
        assert changed != data
        length = int.from_bytes(data[15:23], "little") + len(changed) - len(data)
        with pytest.raises(GraphFormatError):
            from_bytes(changed[:15] + length.to_bytes(8, "little") + changed[23:])


def test_a_port_that_is_not_a_node_proves_nothing() -> None:
    graph = plateau()
    ports = tuple(replace(port, node=-1) for port in graph.outputs)
    bad = replace(graph, outputs=ports)
    claim = far_apart(graph, SAFER)
    with pytest.raises((CertificateError, ValueError)):
        check(certificate(bad, claim, [PROOF]), bad)


def test_too_many_constraints_are_refused_before_they_take_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows, "MAX_COEFFICIENTS", 5)
    with pytest.raises(CertificateError, match="too many to check"):
        report(PROOF)


def test_memory_for_many_conjunctions_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mixed claims of 400 conjunctions once took a matrix of conjunctions by rows for each leaf."""
    monkeypatch.setattr(backward, "ELEMENT_BUDGET", 1 << 16)
    graph = plateau()
    rows_ = (output_at_least(0, 3), output_at_least(1, 5))
    claim = problem(graph, Cell(box((0, 2), (0, 2)), (rows_,) * 400))
    writer = Writer()
    splits = 63
    for _ in range(splits):
        writer.halve(0)
    for _ in range(splits + 1):
        writer.mix([1, 1] * 400)
    tracemalloc.start()
    started = time.perf_counter()
    found = check(certificate(graph, claim, [writer.to_bytes()]), graph)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.accepted
    assert peak < 60_000_000
    assert time.perf_counter() - started < 10


def test_open_leaves_at_great_depth_are_measured_in_bounded_time() -> None:
    builder = GraphBuilder()
    graph = builder.build({"y": builder.input("x", (10,))})
    claim = problem(graph, Cell(box(*[(0, 1)] * 10), ((output_at_least(0, 5),),)))
    writer = Writer()
    depth = 0
    for dimension in range(10):
        for _ in range(100):
            writer.halve(dimension)
            depth += 1
    for _ in range(depth + 1):
        writer.open()
    started = time.perf_counter()
    found = check(certificate(graph, claim, [writer.to_bytes()]), graph)
    assert found.open_share == [1]
    assert not found.accepted
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("seed", [0, 1, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_certificates_of_the_search(seed: int, activation: str) -> None:
    """Accepted for their property, in flush-to-zero mode too; refused for one that fails."""
    kase = case(seed, activation)
    proof = searched(kase.graph, kase.safe)
    assert check(proof, kase.graph, kase.safe).accepted
    with flush_to_zero():
        assert check(proof, kase.graph, kase.safe).accepted
        assert not check(replace(proof, problem=kase.unsafe), kase.graph).accepted
    assert not check(replace(proof, problem=kase.unsafe), kase.graph).accepted
