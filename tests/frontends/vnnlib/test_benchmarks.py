"""Queries of the public benchmarks: the boxes as a second reading finds them, and version 2.0."""

import gzip
import re
from fractions import Fraction
from pathlib import Path

import pytest
import vnncomp

from absint.frontends.spec import read
from absint.ir import Graph, Port

_SETS = ("acasxu", "lsnc", "reach_prob_density", "rl_benchmarks", "tllverifybench", "cora", "vit")
_BOUND = re.compile(r"\(assert\s+\((<=|>=)\s+X_(\d+)\s+([-+0-9.eE]+)\s*\)\)")


def _queries(folder: str) -> list[Path]:
    """Up to 20 files of a benchmark, the same ones each time."""
    found = sorted((vnncomp.root() / folder / "vnnlib").glob("**/*.vnnlib.gz"))
    return found[:: len(found) // 20 + 1]


def _graph(text: str) -> Graph:
    inputs, outputs = (len(re.findall(rf"\(declare-const {v}_\d+ Real\)", text)) for v in "XY")
    return Graph((), (Port("in", 0, (1, inputs)),), (Port("out", 1, (1, outputs)),))


def _asserted(text: str) -> dict[int, list[Fraction]]:
    """The tightest bounds [lower, upper] of each input that stand alone in an assertion."""
    bounds: dict[int, list[Fraction]] = {}
    for relation, index, number in _BOUND.findall(text):
        value, known = Fraction(number), bounds.setdefault(int(index), [])
        if not known:
            known += [Fraction(-(10**9)), Fraction(10**9)]
        if relation == "<=":
            known[1] = min(known[1], value)
        else:
            known[0] = max(known[0], value)
    return bounds


@pytest.mark.parametrize("folder", _SETS)
def test_boxes(folder: str) -> None:
    files = _queries(folder) if folder not in ("cora", "vit") else _queries(folder)[:2]
    assert files
    for file in files:
        text = gzip.decompress(file.read_bytes()).decode()
        (problem,) = read(file, _graph(text)).properties
        for index, (lower, upper) in _asserted(text).items():
            for cell in problem.cells:
                assert lower <= cell.box.lower[index] <= cell.box.upper[index] <= upper
            if len(problem.cells) == 1:
                assert (problem.cells[0].box.lower[index], upper) == (
                    lower,
                    problem.cells[0].box.upper[index],
                )


def test_version_2_of_acas_properties(tmp_path: Path) -> None:
    head = (
        "(vnnlib-version <2.0>)\n(declare-network acas\n"
        "  (declare-input X Real [1,1,1,5])\n  (declare-output Y Real [1,5]))\n"
    )
    files = _queries("acasxu")
    assert len(files) == 10
    for file in files:
        text = gzip.decompress(file.read_bytes()).decode()
        body = re.sub(r"\(declare-const [XY]_\d+ Real\)", "", text)
        body = re.sub(r"X_(\d)", r"X[0, 0, 0, \1]", re.sub(r"Y_(\d)", r"Y[0,\1]", body))
        path = tmp_path / file.name.removesuffix(".gz")
        path.write_text(head + body)
        assert read(path, _graph(text)).properties == read(file, _graph(text)).properties


def test_a_path_without_its_suffix(tmp_path: Path) -> None:
    file = _queries("acasxu")[0]
    graph = _graph(gzip.decompress(file.read_bytes()).decode())
    assert read(str(file).removesuffix(".gz"), graph) == read(file, graph)
