"""What each construct of a spec means, on identity networks: exact ends, ties, decimals, layers.

The expected answers were written by hand. Whether a spec's catastrophe is reached is found out by
trying floats of each cell's box, its ends and their neighbours among them: no bound and no search.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from absint.frontends.spec import read
from absint.ir import Graph, GraphBuilder
from absint.problem import Cell, InputError, Problem, violated

TENTH = Fraction(float(np.float32(0.1)))
"""The float32 nearest to 0.1, which lies above it."""
UNIT = "region: {all: [0, 1]}\n"
SIX = "region: {all: [0, 6]}\n"
TWO = "outputs: [a, b]\nregion: "
VNNLIB = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 0))"


def identity(*shape: int) -> Graph:
    builder = GraphBuilder()
    x = builder.input("inp", shape)
    return builder.build({"outp": builder.add("scale", [x])})


def reached(problem: Problem) -> bool:
    return any(_reached(cell, *problem.network_box(cell)) for cell in problem.cells)


def _reached(cell: Cell, lower: np.ndarray, upper: np.ndarray) -> bool:
    floats = (_floats(float(a), float(b)) for a, b in zip(lower, upper, strict=True))
    points = (np.array(point) for point in itertools.product(*floats))
    return any(violated(cell, x, x.copy()) is not None for x in points)


def _floats(lower: float, upper: float) -> list[float]:
    step = (upper - lower) / 8
    near = {float(np.nextafter(np.float32(v), np.float32(9))) for v in (lower, 0.5)}
    near |= {float(np.nextafter(np.float32(v), np.float32(-9))) for v in (upper, 0.5)}
    grid = {float(np.float32(lower + step * i)) for i in range(9)} | {0.5, 1.0, 1.5, 2.0, 3.0, 4.0}
    return sorted(v for v in near | grid | {lower, upper} if lower <= v <= upper)


def answers(text: str, size: int, folder: Path) -> list[bool]:
    path = folder / ("spec.vnnlib" if text.startswith("(") else "spec.yaml")
    path.write_text(text)
    return [reached(problem) for problem in read(path, identity(1, size)).properties]


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        # ends are closed, and comparisons are what they say there
        (UNIT + "never: y[0] >= 1", 1, True),
        (UNIT + "never: y[0] > 1", 1, False),
        (UNIT + "never: y[0] <= 0", 1, True),
        (UNIT + "never: y[0] < 0", 1, False),
        (UNIT + "always: 0 <= y[0] <= 1", 1, False),
        (UNIT + "always: 0 < y[0] <= 1", 1, True),
        (UNIT + "always: 0 <= y[0] < 1", 1, True),
        # decimals that are no floats
        ("region: {all: [0, 0.1]}\nnever: y[0] > 0.1", 1, True),
        ("region: {all: [0, 0.1]}\ninput_values: representable\nnever: y[0] >= 0.1", 1, False),
        ("region: {all: [0.1, 0.2]}\nnever: y[0] <= 0.1", 1, False),
        ("region: {all: 0.1}\nnever: y[0] == 0.1", 1, False),
        (f"region: {{all: 0.1}}\nnever: y[0] == {TENTH}", 1, True),
        (f"region: {{all: 0.1}}\nnever: y[0] != {TENTH}", 1, False),
        ("region: {all: [1e-60, 2e-60]}\nnever: y[0] != 0", 1, False),
        ("region: {all: -0.0}\nnever: y[0] >= 0", 1, True),
        # arithmetic and precedence
        (SIX + "never: y[0]/2/3 > 1", 1, False),
        (SIX + "never: y[0]/2/3 >= 1", 1, True),
        (SIX + "never: 2 - 1 - y[0] < -5", 1, False),
        (SIX + "never: 2 - 1 - y[0] <= -5", 1, True),
        (SIX + "never: -y[0]*2 < -12", 1, False),
        (SIX + "never: 1 - -y[0] > 7", 1, False),
        (SIX + "never: 2*(y[0] - 1)/4 > 2.5", 1, False),
        (SIX + "never: 2*(y[0] - 1)/4 >= 2.5", 1, True),
        (SIX + "never: y[0] >= 6 or y[0] <= 3 and y[0] >= 4", 1, True),
        (SIX + "never: (y[0] >= 6 or y[0] <= 3) and y[0] > 6", 1, False),
        (SIX + "never: not y[0] >= 0 and y[0] <= 6", 1, False),
        (SIX + "never: not (y[0] >= 0 and y[0] <= 5)", 1, True),
        (SIX + "never: not not y[0] > 6", 1, False),
        # decisions and ties
        (TWO + "{lower: [1, 0], upper: [1, 1]}\nnever: argmax is 1", 2, False),
        (TWO + "{lower: [0, 1], upper: [1, 1]}\nnever: argmax is 0", 2, True),
        (TWO + "{lower: [1, 0], upper: [1, 1]}\nnever: b is maximal", 2, True),
        (TWO + "{lower: [1, 0], upper: [1, 1]}\nalways: b is not maximal", 2, True),
        (TWO + "{lower: [1, 0], upper: [1, 1]}\nalways: a is maximal", 2, False),
        (TWO + "{lower: [1, 0], upper: [1, 1]}\nalways: argmax is a", 2, False),
        (TWO + "{lower: [1, 0], upper: [1, 1]}\nnever: argmin is a", 2, True),
        (TWO + "{lower: [1, 0], upper: [1, 0.999]}\nnever: argmin is a", 2, False),
        (TWO + "{lower: [0, 1], upper: [1, 1]}\nnever: argmin is b", 2, False),
        (TWO + "{lower: [0, 1], upper: [1, 1]}\nnever: b is minimal", 2, True),
        (TWO + "{lower: [0, 1], upper: [1, 1]}\nalways: argmin not in [b]", 2, False),
        ("region: {lower: [1, 1, 0], upper: [1, 1, 1]}\nalways: argmax is 0", 3, False),
        ("region: {lower: [1, 1, 0], upper: 1}\nalways: argmax(y[1..2]) is 0", 3, False),
        ("region: {lower: [1, 1, 2], upper: [1, 1, 3]}\nalways: argmax(y[1..2]) is 1", 3, False),
        ("region: {lower: [1, 1, 2], upper: [1, 1, 3]}\nalways: argmax not in [0, 1]", 3, False),
        ("region: {lower: [1, 1, 2], upper: [1, 1, 3]}\nalways: argmax in [0, 1]", 3, True),
        # lists: never forbids each, always demands each
        (UNIT + "never: ['y[0] > 1', 'y[1] >= 1']", 2, True),
        (UNIT + "never: ['y[0] > 1', 'y[1] > 1']", 2, False),
        (UNIT + "always: ['y[0] <= 1', 'y[1] < 1']", 2, True),
        # conditions on inputs, unions and layers
        ("region: {all: [0, 1], where: 'x[0] + x[1] <= 1'}\nnever: y[0] + y[1] > 1", 2, False),
        ("region: {all: [0, 1], where: 'x[0] + x[1] <= 1'}\nnever: y[0] + y[1] >= 1", 2, True),
        ("region: {all: [0, 1], where: 'x[0] + x[1] < 1'}\nnever: y[0] + y[1] >= 1", 2, False),
        ("region: {all: [0, 1], where: 'x[0] == x[1]'}\nnever: y[0] < y[1]", 2, False),
        ("region: {all: [0, 1], where: '0.5 <= x[1] == x[0]'}\nnever: y[0] <= 0.5", 2, True),
        (
            "region: {all: [0, 1], any_of: [{where: 'x[0] >= 0.5'}, {'x[1]': [2, 3]}]}\n"
            "never: y[0] < 0.5 and y[1] < 2",
            *(2, False),
        ),
        (
            "region: {all: [0, 1], any_of: [{where: 'x[0] >= 0.5'}, {'x[1]': [2, 3]}]}\n"
            "never: y[0] < 0.5 and y[1] <= 2",
            *(2, True),
        ),
        (
            "inputs: {a: [0, 1], b: [0, 1], c: 5}\nregion: {all: 7, a: 3}\n"
            "never: y[0] != 3 or y[1] != 7 or y[2] != 7",
            *(3, False),
        ),
        (
            "region: {inp: 7, 'x[0..1]': 2, all: 9}\nnever: y[0] != 2 or y[1] != 2 or y[2] != 7",
            *(3, False),
        ),
        (
            "region: {center: [1, 2, 3], eps: [0.5, 0, 1], clip: [1, 2]}\n"
            "never: y[0] < 1 or y[0] > 1.5 or y[1] != 2 or y[2] != 2",
            *(3, False),
        ),
        # raw units
        (
            "normalize: {mean: [1, 0], std: 2}\nregion: {lower: [1, 3], upper: [3, 5]}\n"
            "never: y[0] < 0 or y[0] > 1 or y[1] < 1.5 or y[1] > 2.5 or 2*y[1] != x[1]",
            *(2, False),
        ),
        (
            "normalize: {mean: 1, std: 2}\nregion: {all: [1, 3], where: 'x[0] <= 2'}\n"
            "never: y[0] >= 0.5",
            *(2, True),
        ),
        (
            "normalize: {mean: 1, std: 2}\nregion: {all: [1, 3], where: 'x[0] <= 2'}\n"
            "never: y[0] > 0.5",
            *(2, False),
        ),
        # VNN-LIB
        (VNNLIB + "(assert (<= X_0 1))(assert (>= Y_0 1))", 1, True),
        (VNNLIB + "(assert (<= X_0 1))(assert (> Y_0 1))", 1, False),
        (VNNLIB + "(assert (<= X_0 0.1))(assert (> Y_0 0.1))", 1, True),
        (
            VNNLIB + "(assert (<= (* -3 X_0) 0))(assert (<= (* 3 X_0) 1))(assert (>= Y_0 0.34))",
            1,
            False,
        ),
        (VNNLIB + "(assert (<= X_0 1))(assert (not (<= Y_0 1)))", 1, False),
        (VNNLIB + "(assert (<= X_0 1))(assert (!= (- (* 2 Y_0) X_0 X_0) 0))", 1, False),
        (
            VNNLIB + "(assert (<= X_0 1))(assert (or (and (<= X_0 0.5) (> Y_0 0.5))"
            " (and (>= X_0 0.5) (< Y_0 0.5))))",
            *(1, False),
        ),
        (
            VNNLIB + "(assert (<= X_0 1))(assert (or (and (<= X_0 0.5) (>= Y_0 0.5))"
            " (and (>= X_0 0.5) (< Y_0 0.5))))",
            *(1, True),
        ),
    ],
)
def test_a_construct_means_what_it_says(
    text: str, size: int, expected: bool, tmp_path: Path
) -> None:
    assert answers(text, size, tmp_path) == [expected]


def test_indices_of_an_image_are_those_of_its_dimensions(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(
        "normalize: {mean: [10, 20], std: 1, axis: 1}\n"
        'region: {all: 20, "inp[0, 1, 0, 2]": 25, "inp[1, 1, 1]": 26, "inp[7]": 27}\n'
        "never: outp[1, 0, 2] == 5 and outp[10] == 6 and outp[0, 1, 0, 1] == 7 and outp[0] == 10\n"
    )
    (problem,) = read(path, identity(1, 2, 2, 3)).properties
    lower, upper = problem.network_box(problem.cells[0])
    assert lower.tolist() == upper.tolist()
    assert lower.tolist() == [10.0] * 6 + [0.0, 7.0, 5.0, 0.0, 6.0, 0.0]
    assert reached(problem)
    path.write_text(path.read_text().replace("outp[1, 0, 2] == 5", "outp[0, 1, 2] == 5"))
    assert not reached(read(path, identity(1, 2, 2, 3)).properties[0])


def test_labels_of_a_dataset_are_those_of_its_rows(tmp_path: Path) -> None:
    text = (
        "dataset: {center: [[1, 2], [2, 1], [1, 1]], labels: [1, 0, 1], eps: 0.1, rows: [2, 0..1]}"
    )
    assert answers(text, 2, tmp_path) == [True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("region: {all: 0.1}\ninput_values: representable\nnever: y[0] > 1", "no float32"),
        (
            "normalize: {mean: 1e400, std: 1e300}\nregion: {all: 1e400}\nnever: y[0] > 1",
            "mean does",
        ),
        ("normalize: {mean: 0, std: 1e309}\nregion: {all: 1}\nnever: y[0] > 1", "std does not fit"),
        (UNIT + "never: y[0] - y[0] + x[0] > 2", "speaks of no output"),
        (UNIT + "never: argmax is 0", "always true"),
    ],
)
def test_what_means_nothing_is_an_error(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        answers(text, 1, tmp_path)
