"""What bounds of rows decide: every claim is one that the checker can read and would accept."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from searchcases import box, least, most

from absint.problem import Cell, LinearConstraint, constraint
from absint.proofs.stream import Rule
from absint.search.mix import Forms
from absint.search.query import CellQuery, Decision, cell_query

F = Fraction
INSIDE = constraint([(0, F(1))], [], F(1, 4))  # x0 <= 1/4
SLACK = 1e-9


def cell(*conjunctions: tuple[LinearConstraint, ...], region: bool = False) -> Cell:
    return Cell(box((0, 1), (0, 1)), conjunctions, (INSIDE, INSIDE) if region else ())


def flat(margins: list[list[float]]) -> Forms:
    """Bounds that do not depend on the input."""
    values = np.array(margins)
    return Forms(np.zeros((*values.shape, 2)), values, np.ones((len(values), 2)))


def decide(query: CellQuery, margins: list[list[float]]) -> Decision:
    return query.decide(flat(margins), SLACK)


def test_rows_are_the_conjunctions_then_the_region() -> None:
    row = constraint([(1, F(1, 3))], [(0, F(2)), (1, F(-1))], F(-7, 2), True)
    query = cell_query(cell((least(0, 1), row), (most(1, 2),), region=True), 2, 2)
    assert query.query.inputs.tolist() == [[0, 0], [0, 1 / 3], [0, 0], [1, 0], [1, 0]]
    assert query.query.outputs.tolist() == [[-1, 0], [2, -1], [0, 1], [0, 0], [0, 0]]
    assert query.query.bound.tolist() == [-1, -3.5, 2, 0.25, 0.25]
    assert [m.tolist() for m in query.members] == [[0, 1, 3, 4], [2, 3, 4]]
    assert query.region.tolist() == [3, 4]


def test_numbers_beyond_every_float_are_cut_off() -> None:
    huge = constraint([], [(0, F(10) ** 400)], -(F(10) ** 999))
    query = cell_query(cell((huge,)), 2, 2).query
    assert np.isfinite(query.outputs).all()
    assert np.isfinite(query.bound).all()
    assert query.bound[0] < -1e308


def test_safe_names_the_row_that_each_conjunction_breaks() -> None:
    query = cell_query(cell((least(0, 1), most(0, 2)), (least(1, 1), most(1, 2))), 2, 2)
    found = decide(query, [[-1, 2, 3, -4], [0.5, -1, 1, 7]])
    assert found.rules == [Rule.SAFE, Rule.SAFE]
    assert found.operands == [(1, 0), (0, 1)]
    assert found.score.tolist() == [2, 0.5]


def test_a_box_outside_the_region_is_empty_by_the_regions_row() -> None:
    query = cell_query(cell((least(0, 1),), (least(1, 1), most(1, 2)), region=True), 2, 2)
    found = decide(query, [[-1, -1, -1, -5, 0.25], [-1, -1, -1, 3, 2], [-1, 5, 5, 0.5, 0.25]])
    assert found.rules == [Rule.EMPTY] * 3
    assert found.operands == [(1,), (0,), (0,)]
    assert (found.score > SLACK).all()


def test_safe_is_used_where_the_conjunctions_own_rows_do() -> None:
    query = cell_query(cell((least(0, 1),), (least(1, 1),), region=True), 2, 2)
    found = decide(query, [[1.0, 2.0, 5.0, -1.0]])
    assert found.operands[0] in ((0, 0), (0,))
    assert found.rules[0] is (Rule.SAFE if len(found.operands[0]) == 2 else Rule.EMPTY)


def test_operands_are_always_places_that_exist() -> None:
    """The checker refuses a SAFE that names a row of the region (it has EMPTY and MIX)."""
    rng = np.random.default_rng(0)
    conjunctions = ((least(0, 1), most(0, 2)), (least(1, 1),))
    query = cell_query(cell(*conjunctions, region=True), 2, 2)
    found = decide(query, rng.normal(size=(500, 5)).tolist())
    seen = set()
    for rule, operands, score in zip(found.rules, found.operands, found.score, strict=True):
        if not score > SLACK:
            continue
        seen.add(rule)
        if rule is Rule.SAFE:
            assert len(operands) == 2
            assert all(o < len(c) for o, c in zip(operands, conjunctions, strict=True))
        elif rule is Rule.EMPTY:
            assert len(operands) == 1
            assert operands[0] < 2
        else:
            assert len(operands) == 3 + 2 * 2
            assert all(0 <= o <= 255 for o in operands)
    assert seen >= {Rule.SAFE, Rule.EMPTY}


def test_a_positive_score_is_backed_by_its_operands() -> None:
    rng = np.random.default_rng(1)
    conjunctions = ((least(0, 1), most(0, 2)), (least(1, 1),))
    query = cell_query(cell(*conjunctions, region=True), 2, 2)
    forms = Forms(rng.normal(size=(300, 5, 2)), rng.normal(size=(300, 5)), rng.random((300, 2)) / 4)
    found, margin = query.decide(forms, SLACK), forms.minimum()
    for i in np.flatnonzero(found.score > SLACK):
        rule, operands = found.rules[i], found.operands[i]
        if rule is Rule.SAFE:
            rows = [m[o] for m, o in zip(query.members, operands, strict=True)]
            assert found.score[i] <= margin[i, rows].min() + 1e-12
        elif rule is Rule.EMPTY:
            assert found.score[i] <= margin[i, query.region[operands[0]]] + 1e-12
        else:
            weights = np.split(np.array(operands), [4])
            for members, part in zip(query.members, weights, strict=True):
                share = part / part.sum()
                slope = np.abs(share @ forms.coefficients[i, members]) @ forms.radius[i]
                assert found.score[i] <= share @ forms.centre[i, members] - slope + 1e-12


def test_focus_is_a_weighting_of_rows() -> None:
    rng = np.random.default_rng(2)
    query = cell_query(cell((least(0, 1), most(0, 2)), (least(1, 1),), region=True), 2, 2)
    found = decide(query, rng.normal(size=(100, 5)).tolist())
    assert (found.focus >= 0).all()
    assert np.allclose(found.focus.sum(axis=1), 1)


def test_bounds_that_are_not_numbers_decide_nothing() -> None:
    query = cell_query(cell((least(0, 1), most(0, 2)), (least(1, 1),)), 2, 2)
    with np.errstate(all="ignore"):
        found = decide(query, [[np.nan, 1, 1], [np.nan] * 3, [1, 1, np.nan], [-np.inf] * 3])
    assert not (found.score > SLACK).any()


@pytest.mark.parametrize("region", [False, True])
def test_violation_is_the_distance_to_the_nearest_conjunction(region: bool) -> None:
    query = cell_query(cell((least(0, 1), most(0, 2)), (least(1, 1),), region=region), 2, 2)
    margins = np.array([[1.0, 2.0, 3.0], [-1.0, -2.0, 5.0], [4.0, 4.0, 0.0], [1.0, -1.0, 9.0]])
    if region:
        margins = np.concatenate([margins, [[-9, -9], [3, -9], [-1, -2], [0.5, 0.5]]], axis=1)
    distance, weights = query.violation(margins)
    assert distance.tolist() == ([2, 3, 0, 1] if region else [2, -1, 0, 1])
    assert (weights >= 0).all()
    assert np.allclose(weights.sum(axis=1)[[0, 1, 3]], 1)
    for point, row in ((0, 2), (3, 1)):
        assert weights[point, row] in (0, pytest.approx(2 / 3)), "only rows that do not hold"
