"""Pictures of a certificate's partition."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cli.problems import MODEL, SAFE, UNSAFE, Run

from absint.api import load
from absint.proofs.check import CheckReport
from absint.proofs.format import Certificate
from absint.report.slice import Kind, cut, most_split

PAIR = ("--model", MODEL, "--region", SAFE)


@pytest.fixture
def proof(run: Run, tmp_path: Path) -> Path:
    assert run("verify", MODEL, "--region", SAFE, "--certificate", "safe.cert").code == 0
    return tmp_path / "safe.cert"


@pytest.mark.parametrize(("name", "start"), [("p.svg", b"<?xml"), ("p.PNG", b"\x89PNG")])
def test_a_picture_is_drawn_again_over_itself(
    name: str, start: bytes, proof: Path, run: Run, tmp_path: Path
) -> None:
    outcome = run("plot", proof, *PAIR, "--output", name)
    assert (outcome.code, outcome.err) == (0, "")
    first = (tmp_path / name).read_bytes()
    assert first.startswith(start)
    assert run("plot", proof, *PAIR, "--output", name).code == 0
    assert (tmp_path / name).read_bytes() == first


def test_axes_cut_and_counterexample(proof: Path, run: Run, tmp_path: Path) -> None:
    assert run("verify", MODEL, "--region", UNSAFE, "--counterexample", "found").code == 1
    outcome = run(
        "plot", proof, *PAIR, "--output", "p.svg", "--x", "own_speed", "--y", "input[1]",
        "--fix", "range=400", "--fix", "heading = 0.7", "--counterexample", "found",
    )  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    assert run("plot", proof, *PAIR, "--output", "q.svg", "--no-classes").code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--output", "p.pdf"), "p.pdf: the name of a picture ends in .svg or .png"),
        (("--output", "notes.svg"), "notes.svg: exists and is something else"),
        (("--x", "own_sped"), "did you mean 'own_speed'?"),
        (("--x", "input[5]"), "no input 'input[5]'"),
        (("--x", "range", "--y", "range"), "both axes are range"),
        (("--fix", "range"), "write NAME=VALUE"),
        (("--fix", "range=far"), "not a number"),
        (("--fix", "range=1000"), "does not meet the region"),
        (("--x", "range", "--fix", "range=400"), "range is on an axis"),
        (("--counterexample", "nope"), "nope.npz: no such file"),
    ],
)
def test_wrong_options(
    options: tuple[str, ...], says: str, proof: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "notes.svg").write_text("<svg>mine</svg>")
    output = () if "--output" in options else ("--output", "p.svg")
    outcome = run("plot", proof, *PAIR, *output, *options)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert says in outcome.err
    assert not (tmp_path / "p.svg").exists()
    assert (tmp_path / "notes.svg").read_text() == "<svg>mine</svg>"


def test_without_matplotlib_it_says_what_to_install(
    proof: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = run("plot", proof, *PAIR, "--output", "p.svg")
    assert outcome.code == 2
    assert "pip install 'absint[plot]'" in outcome.err


def test_the_tiles_of_a_slice_cover_it_once(proof: Path) -> None:
    """Exactly: the rectangles' areas add up to the region's, and no two overlap."""
    certificate = Certificate.from_bytes(proof.read_bytes())
    graph = load(MODEL, SAFE).model.graph
    x, y = most_split(certificate, graph)[:2]
    for fixed in ({}, {0: 450.0}, {0: 300.0, 4: 30.0}):
        view = cut(certificate, graph, CheckReport(), x, y, fixed)
        lower, upper = certificate.problem.network_box(certificate.problem.cells[0])
        area = Fraction(0)
        for tile in view.tiles:
            sides = [Fraction(high) - Fraction(low) for low, high in (tile.x, tile.y)]
            area += sides[0] * sides[1]
        whole = [Fraction(float(upper[d])) - Fraction(float(lower[d])) for d in (x, y)]
        assert area == whole[0] * whole[1]
        assert set(view.counts()) <= {Kind.SAFE, Kind.MIXED}
        assert sum(view.counts().values()) == len(view.tiles)


def test_an_open_leaf_is_drawn_as_one(run: Run, tmp_path: Path) -> None:
    assert run("verify", MODEL, "--region", SAFE, "--timeout", "0.001").code == 3
    certificate = Certificate.from_bytes((tmp_path / "safe.cert").read_bytes())
    lower, upper = certificate.problem.network_box(certificate.problem.cells[0])
    graph = load(MODEL, SAFE).model.graph
    view = cut(certificate, graph, CheckReport(), 0, 1, {}, (lower + upper) / 2)
    assert Kind.OPEN in view.counts()
    assert run("plot", "safe.cert", *PAIR, "--output", "p.svg").code == 0


def test_the_landscape_is_the_networks(proof: Path) -> None:
    from absint.report.landscape import survey

    task = load(MODEL, SAFE)
    cell = task.spec.properties[0].cells[0]
    point = np.array([450.0, -0.4, 0.7, 48.0, 25.0])
    land = survey(task.model.graph, cell, point, (0, 3), ((300.0, 600.0), (45.0, 52.0)))
    row, column = 17, 200
    at = point.copy()
    at[0], at[3] = land.x[column], land.y[row]
    truth = task.run(at[None].astype(np.float32).astype(np.float64))[0]
    assert np.allclose(land.outputs[row, column], truth, atol=1e-3)
    assert land.margin[row, column] == pytest.approx(truth[1:].max() - truth[0], abs=1e-3)
