"""`check --leaves`: boxes that somebody else has verified, confirmed or not."""

from __future__ import annotations

import csv
import itertools
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cli.problems import MODEL, SAFE, UNSAFE, Run
from numpy.typing import NDArray
from searchcases import BINDING, box, integer_network, most, problem

from absint import api
from absint.proofs.format import Certificate
from absint.proofs.leaves import leaves
from absint.proofs.stream import Arity
from absint.search.listed import Boxes, confirm

FloatArray = NDArray[np.float64]
Box = tuple[tuple[float, ...], tuple[float, ...]]


@pytest.fixture(scope="module")
def verified() -> list[Box]:
    """The boxes of our own proof, as another tool might list them."""
    task = api.load(MODEL, SAFE)
    (result,) = api.verify_each(task, api.SearchOptions(timeout=60))
    assert result.certificate is not None
    (proof,), (cell,) = Certificate.from_bytes(result.certificate).proofs, result.problem.cells
    lower, upper = result.problem.network_box(cell)
    arity = Arity.of(cell, task.model.graph)
    return [
        (leaf.lower, leaf.upper) for leaf in leaves(proof, lower.tolist(), upper.tolist(), arity)
    ]


def write(path: Path, boxes: list[Box]) -> Path:
    """In an order of columns that need not be ours."""
    size = len(boxes[0][0])
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([f"{side}_{i}" for i in range(size) for side in ("lower", "upper")])
        for lower, upper in boxes:
            writer.writerow([repr(end[i]) for i in range(size) for end in (lower, upper)])
    return path


def check(run: Run, *options: str | Path, region: Path = SAFE) -> tuple[int, str]:
    outcome = run("check", "--leaves", "boxes.csv", "--model", MODEL, "--region", region, *options)
    return outcome.code, outcome.out + outcome.err


def test_boxes_that_hold_and_cover_are_accepted(
    run: Run, verified: list[Box], tmp_path: Path
) -> None:
    order = np.random.default_rng(0).permutation(len(verified))
    write(tmp_path / "boxes.csv", [verified[i] for i in order])
    code, out = check(run, "--keep", "mine.cert")
    assert (code, f"{len(verified)} of {len(verified)} boxes confirmed" in out) == (0, True)
    assert run("check", "mine.cert", "--model", MODEL, "--region", SAFE).code == 0


def test_what_is_missing_is_measured_and_can_be_proved(
    run: Run, verified: list[Box], tmp_path: Path
) -> None:
    write(tmp_path / "boxes.csv", verified[2:])
    code, out = check(run, "--keep", "part.cert", "--format", "json")
    found = json.loads(out)
    assert (code, found["confirmed"]) == (3, len(verified) - 2)
    missing, whole = (sum(map(volume, part)) for part in (verified[:2], verified))
    assert [Fraction(part) for part in found["open_share"]] == [missing / whole]
    resumed = ("verify", MODEL, "--region", SAFE, "--resume", "part.cert")
    assert run(*resumed).code == 0


def volume(box: Box) -> Fraction:
    sides = [Fraction(high) - Fraction(low) for low, high in zip(*box, strict=True)]
    return Fraction(np.prod([side for side in sides if side]))


def test_a_box_that_does_not_hold_is_named(run: Run, tmp_path: Path) -> None:
    lower, upper = (tuple(end.tolist()) for end in region_of(UNSAFE))
    outside = tuple(high + 1 for high in upper), tuple(high + 2 for high in upper)
    write(tmp_path / "boxes.csv", [outside, (lower, upper)])
    code, out = check(run, "--keep", "part.cert", region=UNSAFE)
    assert code == 1
    assert "0 of 2 boxes confirmed\n  box 2 is not" in out
    assert "1 box lies outside" in out
    assert run("check", "part.cert", "--model", MODEL, "--region", UNSAFE).code == 3


def region_of(spec: Path) -> tuple[FloatArray, FloatArray]:
    (asked,) = api.load(MODEL, spec).spec.properties
    return asked.network_box(asked.cells[0])


@pytest.mark.parametrize("seed", range(12))
def test_the_share_in_no_box_is_exact(seed: int) -> None:
    """Overlapping, touching and degenerate boxes on a grid, against counting its squares."""
    rng = np.random.default_rng(seed)
    graph = integer_network(rng, (2, 3, 1))
    ends = np.sort(rng.integers(-1, 9, (rng.integers(1, 12), 2, 2)), axis=1).astype(float)
    asked = problem(graph, box((0, 8), (0, 8)), (most(0, -(10**6)),))
    found = confirm(graph, asked, BINDING, Boxes(ends[:, 0], ends[:, 1]))
    covered = sum(
        any((low <= (x, y)).all() and (high >= (x + 1, y + 1)).all() for low, high in ends)
        for x, y in itertools.product(range(8), range(8))
    )
    assert found.report.open_share == [1 - Fraction(covered, 64)]
    assert not found.refused


BAD = {
    "lower_0,upper_0\n0,1\n": "line 1: the first row must name",
    "": "line 1: the first row must name",
}


@pytest.mark.parametrize("text", BAD)
def test_other_columns_are_an_error(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "boxes.csv").write_text(text)
    code, out = check(run)
    assert (code, BAD[text] in out) == (2, True)


@pytest.mark.parametrize("value", ["x", "nan", "inf", "1,2"])
def test_what_is_no_number_is_an_error(
    run: Run, verified: list[Box], tmp_path: Path, value: str
) -> None:
    path = write(tmp_path / "boxes.csv", verified[:1])
    head, row = path.read_text().splitlines()
    path.write_text(f"{head}\n{value}{row[row.index(',') :]}\n")
    code, out = check(run)
    assert (code, "boxes.csv, line 2" in out) == (2, True)


def test_it_is_that_or_a_certificate(run: Run) -> None:
    for given in ((), ("some.cert", "--leaves", "boxes.csv"), ("some.cert", "--keep", "x.cert")):
        assert run("check", *given, "--model", MODEL, "--region", SAFE).code == 2
