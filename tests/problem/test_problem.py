"""Problems are well-formed by construction; violations are decided exactly."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from absint.problem import (
    Box,
    Cell,
    InputError,
    LinearConstraint,
    Problem,
    ProblemError,
    Semantics,
    Unsupported,
    UnsupportedError,
    constraint,
    violated,
)

F = Fraction
ABOVE = constraint([], [(0, F(-1))], F(-1))  # y0 >= 1
UNIT = Box((F(0),), (F(1),))
CELL = Cell(UNIT, ((ABOVE,),))


def box(*ends: tuple[object, object]) -> Box:
    return Box(tuple(F(str(low)) for low, _ in ends), tuple(F(str(high)) for _, high in ends))


class TestConstraints:
    def test_normal_form_merges_sorts_and_drops_zeros(self) -> None:
        row = constraint(
            [(2, F(1)), (0, F(3)), (2, F(-1))], [(1, F(2)), (0, F(0)), (1, F(1))], F(5)
        )
        assert row == LinearConstraint(((0, F(3)),), ((1, F(3)),), F(5))

    def test_value_is_the_left_side_minus_the_bound(self) -> None:
        row = constraint([(0, F(2))], [(1, F(-1, 3))], F(1, 7))
        assert row.value([F(5)], [F(0), F(9)]) == 10 - 3 - F(1, 7)

    @pytest.mark.parametrize(("strict", "at", "holds"), [(False, 1, True), (True, 1, False)])
    def test_equality_is_where_strictness_counts(self, strict: bool, at: int, holds: bool) -> None:
        row = constraint([], [(0, F(1))], F(1), strict)
        assert row.holds([], [F(at)]) is holds
        assert row.holds([], [F(at) - F(1, 10**50)])
        assert not row.holds([], [F(at) + F(1, 10**50)])

    def test_reads_as_a_formula(self) -> None:
        assert str(constraint([(0, F(1))], [(2, F(-1, 2))], F(3), True)) == "x[0] + -0.5*y[2] < 3"
        assert str(constraint([], [], F(-1))) == "0 <= -1"


class TestProblems:
    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"cells": ()}, "region is empty"),
            ({"input_size": 2}, "1 dimensions.* 2 inputs"),
            ({"cells": (Cell(box((0, 1), (0, 1)), ((ABOVE,),)),)}, "2 dimensions"),
            ({"cells": (CELL, Cell(box((1, 0)), ((ABOVE,),)))}, "input 0 has lower bound 1 above"),
            ({"cells": (Cell(UNIT, ()),)}, "at least one constraint"),
            ({"cells": (Cell(UNIT, ((ABOVE,), ())),)}, "at least one constraint"),
            ({"output_size": 0}, "past the network's 0 values"),
            ({"cells": (Cell(UNIT, ((constraint([(1, F(1))], [], F(0)),),)),)}, "past .* 1 val"),
            ({"cells": (Cell(UNIT, ((constraint([(-1, F(1))], [], F(0)),),)),)}, "past .* 1 val"),
            ({"cells": (Cell(UNIT, ((ABOVE,),), (ABOVE,)),)}, "speak of inputs only"),
        ],
    )
    def test_what_is_not_well_formed_is_named(self, change: dict[str, object], match: str) -> None:
        good = Problem("p", 1, 1, (CELL,))
        with pytest.raises(ProblemError, match=match):
            replace(good, **change)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "terms",
        [((1, F(1)), (0, F(1))), ((0, F(1)), (0, F(5))), ((0, F(1)), (9, F(1)), (1, F(1)))],
    )
    def test_terms_out_of_order_are_refused(self, terms: tuple[tuple[int, Fraction], ...]) -> None:
        row = LinearConstraint((), terms, F(0))
        with pytest.raises(ProblemError, match="not in order"):
            Problem("p", 1, 2, (Cell(UNIT, ((row,),)),))

    def test_a_zero_coefficient_is_refused(self) -> None:
        row = LinearConstraint((), ((0, F(0)),), F(0))
        with pytest.raises(ProblemError, match="zero"):
            Problem("p", 1, 1, (Cell(UNIT, ((row,),)),))

    def test_a_problem_error_is_an_input_error(self) -> None:
        assert issubclass(ProblemError, InputError)
        assert ProblemError("x").exit_code == 2


class TestNetworkBox:
    def problem(self, region: Box, semantics: Semantics) -> Problem:
        return Problem("p", len(region.lower), 1, (Cell(region, ((ABOVE,),)),), semantics)

    def test_rounded_regions_hold_every_rounded_real(self) -> None:
        region = box(("0.1", "0.3"), ("0.2", "0.2"))
        problem = self.problem(region, Semantics())
        lower, upper = problem.network_box(problem.cells[0])
        assert lower.tolist() == [float(np.float32(0.1)), float(np.float32(0.2))]
        assert upper.tolist() == [float(np.float32(0.3)), float(np.float32(0.2))]

    def test_representable_regions_are_rounded_inwards(self) -> None:
        problem = self.problem(box(("0.1", "0.3")), Semantics(inputs="representable"))
        (lower,), (upper,) = problem.network_box(problem.cells[0])
        assert F(1, 10) <= F(lower) < F(1, 10) + F(1, 2**25)
        assert F(3, 10) - F(1, 2**25) < F(upper) <= F(3, 10)

    def test_a_region_between_two_floats_is_empty_unless_rounded(self) -> None:
        problem = self.problem(box(("0.1", "0.1")), Semantics(inputs="representable"))
        with pytest.raises(ProblemError, match="no float32 lies between the bounds of input 0"):
            problem.network_box(problem.cells[0])

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_a_bound_that_is_not_finite_is_named(self, dtype: str) -> None:
        problem = self.problem(box((0, "1e999")), Semantics(dtype=dtype))  # type: ignore[arg-type]
        with pytest.raises(ProblemError, match=f"does not fit {dtype}"):
            problem.network_box(problem.cells[0])


class TestViolated:
    def cell(self, *catastrophe: tuple[LinearConstraint, ...], region: bool = False) -> Cell:
        inside = (constraint([(0, F(1))], [], F(1, 2)),) if region else ()
        return Cell(UNIT, catastrophe, inside)

    def test_equality_is_a_violation_unless_strict(self) -> None:
        loose, strict = ABOVE, replace(ABOVE, strict=True)
        one, below = np.array([1.0]), np.array([np.nextafter(1.0, 0)])
        x = np.zeros(1)
        assert violated(self.cell((loose,)), x, one) == 0
        assert violated(self.cell((strict,)), x, one) is None
        assert violated(self.cell((strict,)), x, np.nextafter(one, 2)) == 0
        assert violated(self.cell((loose,)), x, below) is None

    def test_no_tolerance_where_floats_would_cancel(self) -> None:
        """0.1 + 0.2 - 0.3 is not zero in exact arithmetic, and less than the float result."""
        row = constraint([], [(0, F(1)), (1, F(1)), (2, F(-1))], F(0))
        y = np.array([0.1, 0.2, 0.3])
        total = F(0.1) + F(0.2) - F(0.3)
        assert total > 0
        assert violated(self.cell((row,)), np.zeros(1), y) is None
        exactly = constraint([], row.outputs, total)
        assert violated(self.cell((exactly,)), np.zeros(1), y) == 0

    def test_the_first_conjunction_that_holds_is_named(self) -> None:
        never, always = constraint([], [], F(-1)), constraint([], [], F(0))
        cell = self.cell((always, never), (ABOVE, always), (always,))
        assert violated(cell, np.zeros(1), np.array([1.0])) == 1
        assert violated(cell, np.zeros(1), np.array([0.0])) == 2

    def test_all_constraints_of_a_conjunction_are_needed(self) -> None:
        low = constraint([], [(0, F(1))], F(2))
        cell = self.cell((ABOVE, low))
        outcomes = [violated(cell, np.zeros(1), np.array([y])) for y in (0.5, 1.0, 2.0, 2.5)]
        assert outcomes == [None, 0, 0, None]

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_an_output_that_is_not_finite_is_never_safe(self, bad: float) -> None:
        never = constraint([], [(0, F(1))], F(-1))
        assert violated(self.cell((never,)), np.zeros(1), np.array([0.0, bad])) == 0
        assert violated(self.cell((never,)), np.zeros(1), np.array([0.0, 0.0])) is None

    @pytest.mark.parametrize("y", [1.0, np.nan])
    def test_a_point_outside_the_region_is_no_violation(self, y: float) -> None:
        cell = self.cell((ABOVE,), region=True)
        assert violated(cell, np.array([0.5]), np.array([y])) == 0
        assert violated(cell, np.array([np.nextafter(0.5, 1)]), np.array([y])) is None

    def test_inputs_may_take_part(self) -> None:
        row = constraint([(0, F(-1))], [(0, F(1))], F(0))  # y0 <= x0
        cell = self.cell((row,))
        assert violated(cell, np.array([1.0]), np.array([1.0])) == 0
        assert violated(cell, np.array([1.0]), np.array([1.0 + 2**-52])) is None


class TestErrors:
    def test_an_input_error_starts_with_its_place(self) -> None:
        assert str(InputError("wrong", "spec.yaml", 3, 7)) == "spec.yaml:3:7: wrong"
        assert str(InputError("wrong", "spec.yaml")) == "spec.yaml: wrong"
        assert str(InputError("wrong")) == "wrong"

    def test_everything_that_is_not_supported_is_named_at_once(self) -> None:
        error = UnsupportedError([Unsupported("n1", "op A", "use B"), Unsupported("n2", "op C")])
        assert str(error) == "not supported: n1: op A (use B); n2: op C"
        assert error.exit_code == 4
        assert [item.place for item in error.found] == ["n1", "n2"]
