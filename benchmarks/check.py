"""What the checker costs a leaf, against one plain float64 bound computation of the same leaves.

``python benchmarks/run.py check``. The networks have random weights, so that their sizes can be
chosen; a leaf need not hold to be measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import numpy as np

from absint.ir import Constant, Graph, GraphBuilder, digest
from absint.problem import Box, Cell, Problem, Semantics, constraint
from absint.problem.problem import Meaning
from absint.proofs.check import batch_limits, check
from absint.proofs.format import Certificate
from absint.proofs.leaves import leaves
from absint.proofs.stream import Arity, Writer
from benchmarks.measure import conditions
from benchmarks.plain import Plain
from benchmarks.ratio import replace_section

SIZES = (
    (5, *[50] * 6, 5),
    (5, *[128] * 6, 5),
    (30, 128, 2),
    (784, *[256] * 4, 10),
)
DEPTH, BOX_DEPTH = 11, 7
"""Of splits by phases, and of splits of inputs."""
LARGE = 100
"""Inputs from which on the box is smaller."""
REPEATS = 3
Kind = Literal["boxes", "phases", "phases, slopes"]
KINDS: tuple[Kind, ...] = ("boxes", "phases", "phases, slopes")
HEAD = "## CPU time of a leaf"


@dataclass(frozen=True)
class Case:
    """A proof with 2^depth leaves of one kind, about a random network."""

    sizes: tuple[int, ...]
    kind: Kind
    meaning: Meaning

    @property
    def depth(self) -> int:
        return BOX_DEPTH if self.kind == "boxes" else DEPTH

    def graph(self) -> Graph:
        rng, builder = np.random.default_rng(0), GraphBuilder()
        h = builder.input("x", (self.sizes[0],))
        for layer, (rows, columns) in enumerate(pairwise(self.sizes)):
            h = builder.add("relu", [h]) if layer else h
            weight = rng.normal(size=(rows, columns)) * (2 / rows) ** 0.5
            parts = (weight, rng.normal(size=columns) * 0.1)
            single = [Constant(part.astype(np.float32).astype(np.float64)) for part in parts]
            h = builder.add("dense", [h], consts=dict(zip(("weight", "bias"), single, strict=True)))
        return builder.build({"y": h})

    def problem(self) -> Problem:
        """Something about one output, on a box that leaves part of the neurons unstable."""
        size, outputs = self.sizes[0], self.sizes[-1]
        half = Fraction(1, 8) if size <= LARGE else Fraction(1, 128)
        row = constraint((), [(0, Fraction(1)), (1, Fraction(-1))], Fraction(-(10**6)))
        cell = Cell(Box((-half,) * size, (half,) * size), ((row,),))
        return Problem("p", size, outputs, (cell,), Semantics(self.meaning))

    def proof(self, graph: Graph) -> bytes:
        writer, rng = Writer(), np.random.default_rng(1)
        knots = Arity.of(self.problem().cells[0], graph).neurons
        places = [(node, entry) for node, size in knots.items() for entry in range(size)]
        if self.kind == "phases, slopes":
            writer.slopes(rng.integers(0, 256, len(places), dtype=np.uint8).tobytes())
        chosen = [places[i] for i in rng.choice(len(places), self.depth, replace=False)]
        self._divide(writer, chosen, 0, rng)
        return writer.to_bytes()

    def _divide(
        self,
        writer: Writer,
        places: list[tuple[int, int]],
        depth: int,
        rng: np.random.Generator,
    ) -> None:
        if depth == self.depth:
            if self.kind == "boxes":
                writer.safe([0])
            else:
                writer.mix([255, *rng.integers(80, 150, self.depth).tolist()])
            return
        if self.kind == "boxes":
            writer.halve(depth % self.sizes[0])
        else:
            writer.phase(*places[depth])
        for _ in range(2):
            self._divide(writer, places, depth + 1, rng)


@dataclass(frozen=True)
class Cost:
    """CPU seconds of all leaves."""

    name: str
    leaves: int
    check: float
    plain: float

    @property
    def row(self) -> str:
        each = (1e6 * seconds / self.leaves for seconds in (self.check, self.plain))
        check, plain = each
        return f"| {self.name} | {check:.0f} | {plain:.0f} | {self.check / self.plain:.2f} |"


def costs() -> Iterator[Cost]:
    """Every size with every kind, in real arithmetic; then boxes and phases in float32."""
    for sizes in SIZES:
        for kind in KINDS:
            yield measure(Case(sizes, kind, "real"))
    for sizes in (SIZES[0], SIZES[2]):
        yield measure(Case(sizes, "boxes", "float32"))
        yield measure(Case(sizes, "phases", "float32"))


def measure(case: Case) -> Cost:
    graph, problem = case.graph(), case.problem()
    proof = case.proof(graph)
    certificate = Certificate("11" * 32, "22" * 32, digest(graph), problem, (proof,))
    outputs = np.zeros((1, graph.output_size))
    outputs[0, :2] = 1.0, -1.0
    plain, box = Plain.of(graph, outputs), problem.network_box(problem.cells[0])
    lower, upper = (end.tolist() for end in box)
    found = list(leaves(proof, lower, upper, Arity.of(problem.cells[0], graph)))
    limits = batch_limits(graph)
    batch = limits[1] if case.kind == "boxes" else limits[0]
    groups = [found[begin : begin + batch] for begin in range(0, len(found), batch)]

    def bounds() -> None:
        if case.kind == "boxes":
            for some in groups:
                plain.boxes(np.array([x.lower for x in some]), np.array([x.upper for x in some]))
        else:
            plain.leaves((box[0][None], box[1][None]), groups)

    checked, floats = least(lambda: check(certificate, graph), bounds)
    layers = "-".join(map(str, _short(case.sizes)))
    return Cost(f"{layers} | {case.kind} | {case.meaning}", len(found), checked, floats)


def _short(sizes: tuple[int, ...]) -> list[str]:
    """Hidden layers of one size as ``6x50``."""
    inner = sizes[1:-1]
    same = len(set(inner)) == 1 and len(inner) > 1
    hidden = [f"{len(inner)}x{inner[0]}"] if same else [str(size) for size in inner]
    return [str(sizes[0]), *hidden, str(sizes[-1])]


def least(*works: Callable[[], object]) -> list[float]:
    """The least CPU seconds of each of some works, of runs in turn."""
    best = [float("inf")] * len(works)
    for _ in range(REPEATS):
        for place, work in enumerate(works):
            started = time.process_time()
            work()
            best[place] = min(best[place], time.process_time() - started)
    return best


def bench() -> None:
    """Measures all cases, and writes a section of results/check.md."""
    lines = [
        HEAD,
        "",
        *conditions("python benchmarks/run.py check"),
        "",
        "Microseconds of CPU a leaf, one thread, the least of "
        f"{REPEATS} runs in turn. *Check*: all of `absint.proofs.check.check`, reading the proof "
        "included. *Plain*: one float64 bound computation of the same leaves, in batches of the "
        "same size and passes of the same number of coefficients: CROWN as `absint.domains` "
        "computes it, every pre-activation bounded again and then the leaf's row; of leaves by "
        "phases the bounds of their box once, and one pass a leaf with its lines and multipliers "
        "(`benchmarks/plain.py`).",
        "",
        "| network | leaves | semantics | check | plain | ratio |",
        "|---|---|---|---:|---:|---:|",
        *(cost.row for cost in costs()),
        "",
    ]
    replace_section(HEAD, lines)
