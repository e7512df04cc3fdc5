"""Networks and specs whose catastrophe is reached at a known input, often exactly and nowhere else.

The truth is onnxruntime's, on networks whose runs are exact: no proof may cover the known input,
and no counterexample may be one that the spec, read independently here, does not mean.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from redteam.networks import Shape, network

from absint import api
from absint.ir import Graph
from absint.ir.evaluate import run
from absint.problem import Meaning
from absint.proofs.check import check
from absint.proofs.format import Certificate
from absint.proofs.leaves import Leaf, leaves
from absint.proofs.stream import Arity, Rule
from absint.proofs.transformers.knots import knots
from absint.search.attack import Attack
from absint.search.options import SearchOptions
from absint.search.result import Result, Verdict

F = Fraction
Point = list[Fraction]
FloatArray = NDArray[np.float64]


class Runtime:
    """The model on onnxruntime as it is written, one input at a time, in exact numbers."""

    def __init__(self, proto: onnx.ModelProto, shape: Shape) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        self._session: Any = onnxruntime.InferenceSession(proto.SerializeToString(), options)
        self._shape = shape

    def __call__(self, x: Point) -> Point:
        feed = np.array([float(v) for v in x], dtype=np.float32).reshape(self._shape)
        (y,) = self._session.run(None, {"inp": feed})
        return [F(float(v)) for v in y.reshape(-1)]


@dataclass(frozen=True)
class Atom:
    """``x . inputs + y . outputs <= bound`` (``<`` where strict)."""

    inputs: Point
    outputs: Point
    bound: Fraction
    strict: bool

    def holds(self, x: Point, y: Point) -> bool:
        value = _dot(self.inputs, x) + _dot(self.outputs, y)
        return value < self.bound if self.strict else value <= self.bound

    def yaml(self) -> str:
        named = [("x", self.inputs), ("y", self.outputs)]
        terms = [f"{c}*{n}[{i}]" for n, cs in named for i, c in enumerate(cs) if c]
        return f"{' + '.join(terms)} {'<' if self.strict else '<='} {self.bound}".replace(
            "+ -", "- "
        )

    def vnnlib(self) -> str:
        named = [("X", self.inputs), ("Y", self.outputs)]
        terms = [f"(* {_decimal(c)} {n}_{i})" for n, cs in named for i, c in enumerate(cs) if c]
        return f"({'<' if self.strict else '<='} (+ 0 {' '.join(terms)}) {_decimal(self.bound)})"


@dataclass(frozen=True)
class Case:
    """A problem that is false at ``x``: the spec as text, and as this module reads it."""

    runtime: Runtime
    x: Point
    lower: Point
    upper: Point
    where: Atom | None
    catastrophe: list[list[Atom]]
    text: str
    suffix: str

    def reached(self, x: Point) -> bool:
        inside = all(
            _nearest(low) <= v <= _nearest(high)
            for v, low, high in zip(x, self.lower, self.upper, strict=True)
        )
        if not inside or (self.where is not None and not self.where.holds(x, [])):
            return False
        y = self.runtime(x)
        return any(all(atom.holds(x, y) for atom in row) for row in self.catastrophe)


def _dot(a: Point, b: Point) -> Fraction:
    return sum((p * q for p, q in zip(a, b, strict=False)), F(0))


def _nearest(value: Fraction) -> Fraction:
    """To the nearest float32; the numbers here are short enough for a float64 in between."""
    return F(float(np.float32(float(value))))


def _decimal(value: Fraction) -> str:
    """The exact decimal of a fraction whose denominator has no factors but 2 and 5."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
        assert digits < 200
    whole = abs(value * 10**digits)
    text = f"{int(whole):0{digits + 1}d}"
    return f"{'-' if value < 0 else ''}{text[: len(text) - digits]}.{text[len(text) - digits :]}0"


def _atom(rng: random.Random, x: Point, y: Point, true: bool) -> Atom:
    """Holds at (x, y), mostly with equality; or misses by a wide margin."""
    inputs = [F(rng.choice((0, 0, 1, -1))) if rng.random() < 0.4 else F(0) for _ in x]
    outputs = [F(rng.choice((0, 1, -1, 2, -3))) for _ in y]
    outputs[rng.randrange(len(y))] = F(rng.choice((1, -1)))
    value, strict = _dot(inputs, x) + _dot(outputs, y), rng.random() < 0.3
    slack = F(rng.choice((0, 0, 0, 1)), 64) + (F(1, 2**20) if strict else 0)
    return Atom(inputs, outputs, value + slack if true else value - 1 - slack, strict)


def _box(rng: random.Random, x: Point) -> tuple[Point, Point]:
    """Bounds around x: x is inside, on a face, or on one only once the bound has been rounded."""
    lower, upper = [], []
    for v in x:
        off = F(float(np.spacing(np.float32(abs(float(v)))))) / 10 if v else F(1, 2**155)
        faces = [(v - off, v + 1), (v + off, v + 1), (v - 1, v + off), (v - 1, v - off)]
        low, high = rng.choice([*faces, (v, v), (v + off, v + off), (v - F(1, 2), v + F(1, 4))])
        lower.append(low)
        upper.append(high)
    return lower, upper


def make(seed: int) -> Case:
    """A random case; networks that onnxruntime does not run are drawn again."""
    rng = random.Random(seed)
    while True:
        proto, shape = network(rng)
        x = [F(rng.randint(-8, 8), 4) for _ in range(math.prod(shape))]
        try:
            y = Runtime(proto, shape)(x)
        except Exception:  # onnxruntime's exceptions share no base class of their own
            continue
        if len(y) <= 12 and max(map(abs, y)) < 2**12:
            return _case(rng, Runtime(proto, shape), x, y, proto)


def _case(rng: random.Random, runtime: Runtime, x: Point, y: Point, proto: onnx.ModelProto) -> Case:
    rows = [[_atom(rng, x, y, True) for _ in range(rng.randint(1, 3))]]
    for _ in range(rng.choice((0, 0, 1, 2))):
        rows.append([_atom(rng, x, y, i > 0) for i in range(rng.randint(1, 2))])
    rng.shuffle(rows)
    lower, upper = _box(rng, x)
    where = None
    if rng.random() < 0.3:
        weights = [F(rng.choice((1, -1, 2))) for _ in x]
        where = Atom(weights, [], _dot(weights, x), False)
    write = rng.choice((_yaml, _vnnlib))
    text = write(rng, lower, upper, where, rows, len(y))
    suffix = ".yaml" if write is _yaml else ".vnnlib"
    Path("model.onnx").write_bytes(proto.SerializeToString())
    Path(f"spec{suffix}").write_text(text)
    return Case(runtime, x, lower, upper, where, rows, text, suffix)


def _yaml(
    rng: random.Random,
    lower: Point,
    upper: Point,
    where: Atom | None,
    rows: list[list[Atom]],
    _: int,
) -> str:
    """The region alone or in a union with itself; ``never`` or ``always not``."""
    box = f"lower: [{', '.join(map(str, lower))}], upper: [{', '.join(map(str, upper))}]"
    box += "" if where is None else f", where: '{where.yaml()}'"
    said = " or ".join("(" + " and ".join(a.yaml() for a in row) + ")" for row in rows)
    region = f"region: {{{box}}}"
    if len(rows) == 1 and rng.random() < 0.4:
        region = f"region: {{any_of: [{{{box}}}, {{{box}}}]}}"
    return f"{region}\n" + rng.choice((f"never: '{said}'", f"always: 'not ({said})'")) + "\n"


def _vnnlib(
    rng: random.Random,
    lower: Point,
    upper: Point,
    where: Atom | None,
    rows: list[list[Atom]],
    outputs: int,
) -> str:
    """Bounds at the top, or repeated in every disjunct."""
    bounds = [f"(>= X_{i} {_decimal(v)})" for i, v in enumerate(lower)]
    bounds += [f"(<= X_{i} {_decimal(v)})" for i, v in enumerate(upper)]
    said = ["(and " + " ".join(a.vnnlib() for a in row) + ")" for row in rows]
    lines = [f"(declare-const X_{i} Real)" for i in range(len(lower))]
    lines += [f"(declare-const Y_{i} Real)" for i in range(outputs)]
    if rng.random() < 0.5:
        said = [f"(and {' '.join(bounds)} {row})" for row in said]
    else:
        lines += [f"(assert {bound})" for bound in bounds]
    if where is not None:
        lines.append(f"(assert {where.vnnlib()})")
    return "\n".join([*lines, f"(assert (or {' '.join(said)}))"])


def solve(case: Case, seconds: float, semantics: Meaning | None = None) -> tuple[api.Task, Result]:
    task = api.load("model.onnx", f"spec{case.suffix}", semantics=semantics)
    (result,) = api.verify_each(task, SearchOptions(timeout=seconds))
    return task, result


@pytest.mark.parametrize("start", range(0, 80, 20))
def test_what_is_reached_is_not_verified(
    start: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    falsified = 0
    for seed in range(start, start + 20):
        case = make(seed)
        assert case.reached(case.x), seed
        _, result = solve(case, 0.2)
        assert result.verdict is not Verdict.VERIFIED, (seed, case.text)
        if result.counterexample is not None:
            falsified += 1
            assert case.reached([F(float(v)) for v in result.counterexample.x]), (seed, case.text)
    assert falsified > 15


@pytest.mark.parametrize("start", range(1000, 1020, 10))
def test_no_closed_leaf_holds_an_input_that_reaches_the_catastrophe(
    start: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a blind attack, the search closes what it can around the known input: in real arithmetic
    more than under float32. A busy machine closes less in the same time, and is given more."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Attack, "replay", lambda *_: None)
    looked = 0
    for seconds in (0.2, 0.8, 3.2):
        for seed in range(start, start + 10):
            case = make(seed)
            task, result = solve(case, seconds, "real")
            assert result.verdict is Verdict.UNKNOWN, (seed, case.text)
            assert result.certificate is not None
            looked += _inspect(task, result, case, random.Random(seed))
        if looked > 10:
            return
    pytest.fail(f"{looked} leaves were looked at")


def _inspect(task: api.Task, result: Result, case: Case, rng: random.Random) -> int:
    """Fails where an accepted leaf holds a bad point; how many accepted leaves were looked at."""
    moves = [[v + F(rng.randint(-4, 4), 8) for v in case.x] for _ in range(20)]
    bad = np.array([[float(v) for v in x] for x in (case.x, *moves) if case.reached(x)])
    assert result.certificate is not None
    certificate = Certificate.from_bytes(result.certificate)
    report = check(certificate, task.model.graph, result.problem)
    rejected = {(item.cell, item.leaf) for item in report.rejected}
    looked = 0
    for index, cell in enumerate(result.problem.cells):
        lower, upper = (end.tolist() for end in result.problem.network_box(cell))
        arity = Arity.of(cell, task.model.graph)
        for leaf in leaves(certificate.proofs[index], lower, upper, arity):
            if leaf.rule is Rule.OPEN or (index, leaf.ordinal) in rejected:
                continue
            looked += 1
            inside = ((np.array(leaf.lower) <= bad) & (bad <= np.array(leaf.upper))).all(axis=1)
            inside &= _phased(task.model.graph, leaf, bad)
            assert not inside.any(), (case.text, leaf)
    return looked


def _phased(graph: Graph, leaf: Leaf, points: FloatArray) -> NDArray[np.bool_]:
    """(points,): which have all the phases of a leaf; runs of these networks are exact."""
    found, values = np.ones(len(points), dtype=bool), run(graph, points)
    for node, entry, above in leaf.phases:
        neuron = values[graph.nodes[node].inputs[0]].reshape((len(points), -1))[:, entry]
        knot = knots(graph)[node].at
        found &= neuron >= knot if above else neuron <= knot
    return found
