"""Whole runs: the three verdicts, ties, limits, resuming, and a search that is wrong."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from irmodels import Array
from searchcases import (
    BINDING,
    REAL,
    box,
    hard,
    integer_network,
    least,
    most,
    network,
    one_relu,
    problem,
    runtime,
    solve,
)

from absint.domains import product
from absint.domains.product import Analysis
from absint.ir import OPS, Graph, evaluate
from absint.problem import Cell, InputError, Problem, constraint, violated
from absint.proofs.bounds import Bounds
from absint.proofs.check import check
from absint.proofs.format import Certificate
from absint.proofs.regions import Rows
from absint.search import bab, backend
from absint.search.attack import Attack
from absint.search.options import SearchOptions, Status
from absint.search.prove import prove
from absint.search.result import Result, Verdict

F = Fraction
PARTIAL = {"log", "sqrt", "reciprocal"}
STEEP = {"exp", "power", "sign", "floor", "round"}
"""No activations: two layers overflow, or jump, so that no margin is small against the spread."""
ACTIVATIONS = {row.name for row in OPS.values() if row.univariate is not None} - PARTIAL - STEEP
VERIFIED, FALSIFIED, UNKNOWN = Verdict.VERIFIED, Verdict.FALSIFIED, Verdict.UNKNOWN


def holds(result: Result, graph: Graph, asked: Problem) -> bool:
    """Whether a verified result's bytes are accepted by the checker, alone."""
    assert result.verdict is VERIFIED
    assert result.certificate is not None
    return check(Certificate.from_bytes(result.certificate), graph, asked).accepted


def resumed(graph: Graph, asked: Problem, before: Result, **options: Any) -> Result:
    assert before.certificate is not None
    chosen = SearchOptions(**options)
    certificate = Certificate.from_bytes(before.certificate)
    return prove(graph, asked, BINDING, runtime(graph), chosen, certificate)


def in_time(graph: Graph, asked: Problem, timeout: float) -> Result:
    """A run that ends within a second of its limit; a busy machine gets a second try."""
    for _ in range(2):
        started = time.monotonic()
        result = solve(graph, asked, timeout=timeout)
        if time.monotonic() - started < timeout + 1:
            return result
    raise AssertionError(f"{time.monotonic() - started:.1f} s instead of {timeout} s")


class TestVerdicts:
    @pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
    def test_each_activation_has_both_verdicts(self, activation: str) -> None:
        graph = integer_network(np.random.default_rng(3), (2, 5, 5, 2), activation)
        region = box((-1, 1), (-1, 1))
        y = evaluate(graph, np.random.default_rng(0).uniform(-1, 1, (20_000, 2)))
        top, spread = float(y[:, 0].max()), float(np.ptp(y[:, 0]))
        safe = problem(graph, region, (least(0, top + 0.1 * spread),))
        assert holds(solve(graph, safe), graph, safe)
        unsafe = problem(graph, region, (least(0, top - 0.05 * spread),))
        result = solve(graph, unsafe)
        assert result.verdict is FALSIFIED
        assert result.counterexample is not None
        assert violated(unsafe.cells[0], result.counterexample.x, result.counterexample.y) == 0

    @pytest.mark.parametrize(
        ("bound", "strict", "verdicts"),
        [
            (1, False, {FALSIFIED}),
            (1, True, {VERIFIED, UNKNOWN}),
            (1 + 2**-20, False, {VERIFIED}),
            (1 - 2**-20, True, {FALSIFIED}),
        ],
    )
    def test_a_bound_that_is_reached_exactly(
        self, bound: float, strict: bool, verdicts: set[Verdict]
    ) -> None:
        """y = relu(x) on [-1, 1] reaches 1."""
        graph = one_relu()
        result = solve(graph, problem(graph, box((-1, 1)), (least(0, bound, strict),)), 0.5)
        assert result.verdict in verdicts

    def test_conjunctions_need_weighted_sums(self) -> None:
        """y0 = x, y1 = -x: neither bound fails alone on the whole box, both never hold together."""
        graph = network([np.array([[1.0, -1.0]])], [np.zeros(2)])
        asked = problem(graph, box((-2, 2)), (least(0, "0.5"), least(1, "0.5")))
        result = solve(graph, asked)
        assert holds(result, graph, asked)
        assert result.effort.nodes == 1, "at the root"

    @pytest.mark.parametrize(("bound", "verdict"), [(2, VERIFIED), (1, FALSIFIED)])
    def test_one_cell_of_a_union_decides(self, bound: int, verdict: Verdict) -> None:
        graph = one_relu()
        cells = tuple(
            Cell(box(ends), ((least(0, bound),),)) for ends in ((-3, -2), (0, "0.5"), (0, "1.5"))
        )
        asked = Problem("p", 1, 1, cells, REAL)
        result = solve(graph, asked)
        assert result.verdict is verdict
        if verdict is FALSIFIED:
            assert result.counterexample is not None
            assert result.counterexample.cell == 2

    def test_boxes_outside_the_region_are_closed_as_empty(self) -> None:
        """y = |x1| + 2 |x0 - 1/2| reaches 1/2 everywhere but near x0 = 1/2, which is cut out."""
        w = np.array([[2.0, -2.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
        graph = network([w, np.ones((4, 1))], [np.array([-1.0, 1.0, 0.0, 0.0]), np.zeros(1)])
        outside = (constraint([(0, F(1))], [], F(1, 4)),)  # x0 <= 1/4
        asked = problem(graph, box((0, 1), (-1, 1)), (most(0, "0.49"),), constraints=outside)
        assert holds(solve(graph, asked), graph, asked)
        inside = replace(asked, cells=(replace(asked.cells[0], constraints=()),))
        assert solve(graph, inside).verdict is FALSIFIED

    def test_a_wide_region_needs_several_constraints(self) -> None:
        """On the triangle x0 + x1 <= 1, relu(x0) + relu(x1) <= 1: the box alone reaches 2."""
        graph = network([np.eye(2), np.ones((2, 1))], [np.zeros(2), np.zeros(1)])
        triangle = (constraint([(0, F(1)), (1, F(1))], [], F(1)),)
        region = box((0, 1), (0, 1))
        safe = problem(graph, region, (least(0, "1.01"),), constraints=triangle)
        assert holds(solve(graph, safe), graph, safe)
        tie = problem(graph, region, (least(0, 1),), constraints=triangle)
        assert solve(graph, tie, 0.5).verdict in (FALSIFIED, UNKNOWN)


class TestDegenerateRegions:
    @pytest.mark.parametrize(
        ("bound", "strict", "verdicts"),
        [
            ("0.75", False, {FALSIFIED}),
            ("0.75", True, {UNKNOWN, VERIFIED}),
            ("0.8", False, {VERIFIED}),
        ],
    )
    def test_a_single_point(self, bound: str, strict: bool, verdicts: set[Verdict]) -> None:
        graph = one_relu()
        asked = problem(graph, box(("0.75", "0.75")), (least(0, bound, strict),))
        started = time.monotonic()
        result = solve(graph, asked, timeout=20)
        assert result.verdict in verdicts
        assert time.monotonic() - started < 5, "a stuck box ends the search"
        if result.verdict is UNKNOWN:
            assert "too small to split" in result.reason
            assert result.coverage is not None
            assert result.coverage.open_leaves == 1

    def test_dimensions_without_width_are_not_split(self) -> None:
        graph = integer_network(np.random.default_rng(1), (4, 6, 6, 1))
        region = box((-1, 1), (1, 1), (-1, 1), (0, 0))
        x = np.random.default_rng(0).uniform(-1, 1, (20_000, 4))
        x[:, 1], x[:, 3] = 1.0, 0.0
        top = float(evaluate(graph, x).max())
        asked = problem(graph, region, (least(0, top + 0.5),))
        result = solve(graph, asked)
        assert holds(result, graph, asked)

    def test_neighbouring_floats(self) -> None:
        """A box of two floats has no middle: both ends are corners of one stuck box."""
        graph = one_relu()
        after = F(float(np.nextafter(1.0, 2)))
        two = box((1, 1))
        asked = problem(graph, replace(two, upper=(after,)), (least(0, 1, True),))
        assert solve(graph, asked).verdict is FALSIFIED

    def test_huge_and_tiny_boxes(self) -> None:
        graph = one_relu()
        for ends, bound in (
            ((-(10**30), 10**30), -(10**20)),
            ((-(10**300), 10**300), -(10**290)),
            ((0, "1e-30"), "-1e-9"),
            (("-1e-320", "1e-320"), "-1e-9"),
        ):
            asked = problem(graph, box(ends), (most(0, bound),))
            assert holds(solve(graph, asked), graph, asked)
        asked = problem(graph, box((0, 10**30)), (least(0, 10**30),))
        assert solve(graph, asked).verdict is FALSIFIED

    @pytest.mark.parametrize("bound", [F(10) ** 400, -(F(10) ** 400)])
    def test_bounds_beyond_every_float(self, bound: Fraction) -> None:
        graph = one_relu()
        row = constraint([], [(0, F(-1))], -bound)  # y >= bound
        asked = problem(graph, box((0, 1)), (row,))
        assert solve(graph, asked).verdict is (VERIFIED if bound > 0 else FALSIFIED)


class TestLimits:
    def test_the_same_seed_gives_the_same_certificate(self) -> None:
        graph, asked = hard()
        first, second = (solve(graph, asked, timeout=300, seed=5) for _ in range(2))
        assert first.verdict is VERIFIED
        assert first.certificate == second.certificate

    def test_the_same_seed_gives_the_same_counterexample(self) -> None:
        graph = integer_network(np.random.default_rng(3), (3, 5, 1), "tanh")
        asked = problem(graph, box(*[(-1, 1)] * 3), (least(0, 0),), (most(0, 0),))
        found = [solve(graph, asked, seed=7).counterexample for _ in range(2)]
        assert found[0] is not None
        assert found[1] is not None
        assert np.array_equal(found[0].x, found[1].x)

    def test_several_cores_reach_the_same_verdict(self) -> None:
        graph, asked = hard()
        assert holds(solve(graph, asked, timeout=300, jobs=2), graph, asked)

    def test_torch_reaches_the_same_verdict(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from absint.domains.arrays import torch_arrays
        from absint.search import prove as module

        monkeypatch.setattr(module, "arrays_of", lambda options: torch_arrays())
        graph, asked = hard()
        assert holds(solve(graph, asked, timeout=300), graph, asked)

    def test_a_device_that_is_not_there_is_an_input_error(self) -> None:
        graph = one_relu()
        asked = problem(graph, box((0, 1)), (least(0, 2),))
        with pytest.raises(InputError, match="nowhere"):
            solve(graph, asked, device="nowhere")

    @pytest.mark.parametrize("timeout", [0.0, 0.2, 1.0])
    def test_the_time_limit_is_kept_within_a_second(self, timeout: float) -> None:
        graph, asked = hard(2, 0.3, inputs=8)
        result = in_time(graph, asked, timeout)
        assert result.verdict is UNKNOWN
        assert "out of time" in result.reason
        assert result.coverage is not None
        assert 0 < result.coverage.mean_open_share() <= 1

    def test_the_time_limit_is_kept_with_many_cells(self) -> None:
        graph, asked = hard(2, 0.3, inputs=8)
        many = replace(asked, cells=asked.cells * 100)
        assert in_time(graph, many, 0.5).verdict is UNKNOWN

    def test_progress_is_told_after_every_batch(self) -> None:
        told: list[Status] = []
        graph, asked = hard()
        result = solve(graph, asked, timeout=300, progress=told.append)
        assert result.verdict is VERIFIED
        assert len(told) > 2
        assert told[-1].open == 0
        assert told[-1].nodes == result.effort.nodes
        for status in told:
            assert 0 < status.closed + status.open <= (status.nodes + 1) // 2


class TestResuming:
    def test_an_unknown_is_resumed_to_the_end(self) -> None:
        graph, asked = hard()
        first = solve(graph, asked, timeout=0.0)
        assert first.verdict is UNKNOWN
        second = resumed(graph, asked, first, timeout=0.15)
        last = resumed(graph, asked, second, timeout=300) if second.verdict is UNKNOWN else second
        assert holds(last, graph, asked)
        assert last.effort.nodes >= second.effort.nodes >= first.effort.nodes

    def test_memory_that_runs_out_is_said_and_loses_no_work(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bab, "MAX_BATCH", 4)
        graph, asked = hard()
        first = solve(graph, asked, timeout=300, memory=1)
        assert first.verdict is UNKNOWN
        assert "out of memory" in first.reason
        assert first.effort.nodes > 1
        monkeypatch.undo()
        assert holds(resumed(graph, asked, first, timeout=300), graph, asked)

    def test_a_finished_proof_is_accepted_again(self) -> None:
        graph, asked = hard()
        first = solve(graph, asked, timeout=300)
        again = resumed(graph, asked, first, timeout=300)
        assert again.certificate == first.certificate

    def test_what_was_open_is_a_smaller_share_each_time(self) -> None:
        graph, asked = hard(2, 0.3, inputs=8)
        shares, result = [F(1)], solve(graph, asked, timeout=0.1)
        for _ in range(3):
            result = resumed(graph, asked, result, timeout=0.3)
            assert result.coverage is not None
            shares.append(result.coverage.open_share[0])
        assert shares == sorted(shares, reverse=True)

    def test_a_certificate_of_something_else_is_an_input_error(self) -> None:
        graph, asked = hard()
        first = solve(graph, asked, timeout=0.0)
        other = problem(graph, box(*[(-1, 1)] * 4), (least(0, 999),))
        with pytest.raises(InputError, match="another proof"):
            resumed(graph, other, first)
        with pytest.raises(InputError, match="another proof"):
            resumed(hard(3)[0], asked, first)

    def test_a_counterexample_ends_a_resumed_search(self) -> None:
        graph = one_relu()
        asked = problem(graph, box((-1, 1)), (least(0, "0.5"),))
        opened = Certificate("11" * 32, "22" * 32, _digest(graph), asked, (b"\x00\x00\x04\x04",))
        result = prove(graph, asked, BINDING, runtime(graph), SearchOptions(timeout=5), opened)
        assert result.verdict is FALSIFIED


def _digest(graph: Graph) -> str:
    from absint.ir import digest

    return digest(graph)


class TestAWrongSearch:
    """The search proposes only: whatever it believes, the checker has the last word."""

    def lie(self, monkeypatch: pytest.MonkeyPatch, by: float) -> None:
        """Makes every bound that the search computes too high."""

        def analyse(*arguments: Any) -> Analysis:
            found = product.analyse(*arguments)
            return replace(found, centre=found.centre + by)

        monkeypatch.setattr(backend, "analyse", analyse)

    def blind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Takes away the attack."""
        monkeypatch.setattr(Attack, "replay", lambda *arguments: None)

    def test_leaves_that_the_checker_turns_down_are_reopened_and_proved(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rejected: list[int] = []
        honest = bab.CellSearch.reopen

        def reopen(search: bab.CellSearch, leaves: list[int]) -> None:
            rejected.extend(leaves)
            honest(search, leaves)

        monkeypatch.setattr(bab.CellSearch, "reopen", reopen)
        self.lie(monkeypatch, 0.1)
        graph, asked = hard(2)
        assert holds(solve(graph, asked, timeout=60), graph, asked)
        assert rejected

    @pytest.mark.parametrize("by", [1.0, 1e6, np.inf, np.nan])
    def test_it_never_proves_what_is_false(
        self, monkeypatch: pytest.MonkeyPatch, by: float
    ) -> None:
        self.lie(monkeypatch, by)
        self.blind(monkeypatch)
        graph = one_relu()
        asked = problem(graph, box((-1, 1)), (least(0, "0.5"),))
        with np.errstate(all="ignore"):
            assert solve(graph, asked, timeout=0.5).verdict is UNKNOWN

    @pytest.mark.parametrize("slack", [-1.0, -1e-3, -np.inf])
    def test_a_slack_below_zero_proves_nothing_false(
        self, monkeypatch: pytest.MonkeyPatch, slack: float
    ) -> None:
        monkeypatch.setattr(bab, "SLACK", slack)
        self.blind(monkeypatch)
        graph = one_relu()
        false = problem(graph, box((-1, 1)), (least(0, "0.5"),))
        started = time.monotonic()
        with np.errstate(all="ignore"):
            assert solve(graph, false, timeout=0.5).verdict is UNKNOWN
        assert time.monotonic() - started < 1.5

    def test_a_runtime_that_lies_gets_its_own_answer(self) -> None:
        """``falsified`` is about what runs: the runtime's outputs, not the graph's."""
        graph = one_relu()
        asked = problem(graph, box((0, 1)), (least(0, "0.999999"),))

        def run(x: Array) -> Array:
            return np.asarray(evaluate(graph, x)) * 0.5

        result = prove(graph, asked, BINDING, run, SearchOptions(timeout=0.5))
        assert result.verdict is UNKNOWN


def test_a_costly_first_look_at_the_check_does_not_end_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A check of one box costs many times its share of a batch: here 10 ms, whatever its size.

    At that price the thousands of leaves of this proof could not be checked in time. The attack is
    slow, so that the speed of the check is measured while one box is open.
    """
    from absint.search import prove as module

    class Slow(Bounds):
        def minimum(self, rows: Rows) -> Array:
            time.sleep(0.01)
            return super().minimum(rows)

    monkeypatch.setattr(module, "Bounds", Slow)
    monkeypatch.setattr(module, "SLICE", 0.05)
    monkeypatch.setattr(bab.CellSearch, "falsify", lambda search: time.sleep(0.06))
    graph, asked = hard()
    assert holds(solve(graph, asked, timeout=15), graph, asked)
