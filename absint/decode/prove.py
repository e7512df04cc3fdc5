"""From a decoding problem to a verdict. ``_checked`` is the only place that says verified."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from absint.decode.cell import Cell
from absint.decode.enumerate import CLOSE, Enumeration
from absint.decode.greedy import Decoder, Transcript
from absint.decode.remainder import Remainder
from absint.decode.result import DecodeCounterexample, DecodeResult
from absint.decode.resume import undecided
from absint.decode.search import CellSearch, Effort
from absint.decode.status import Checking
from absint.decode.timed import TimedBounds
from absint.decode.tree import Branch, Shared
from absint.ir import Graph
from absint.ir.affine import IntArray
from absint.ir.graph import FloatArray
from absint.problem import InputError
from absint.problem.decode import DecodeProblem, until_stop
from absint.problem.outlook import Outlook
from absint.problem.pieces import Pieces
from absint.problem.promptset import PromptSet, PromptSpace, TooLargeError
from absint.proofs.decode.check import DecodeReport, StepBounds, check_decode, graphs_digest
from absint.proofs.decode.state import Rules
from absint.proofs.format import Certificate, CertificateError
from absint.search import result
from absint.search.options import Deadline, SearchOptions
from absint.search.prove import Binding
from absint.search.result import Verdict

Runner = Callable[[IntArray], Transcript]
"""Decodes prompts (count, length) on the real runtime, token by token."""

ATTACKS = 512
"""Random prompts that are tried before anything is proved, and open ones after each search."""
SMALL = 4096
"""Prompts that are worth following one by one."""
SUSPECTS = 64
"""Of one find, how many are replayed."""
CHECKED = 0.3
"""How much of the time left may be spent on running texts: the checker runs them more slowly."""
LEAST, SHARE, FEW = 5.0, 0.25, 64
"""Bounds are tried for at least so many seconds, and at most for this share of what running all
prompts would take, as told from a few."""
DOUBTS = 4.0
"""Times what a few texts' logits are off by: more than two of any text's."""
QUICKEST = 1e-6
"""Seconds that no run of a text stays below: so many prompts need not be timed."""
EFFORTS = (Effort(2, 400), Effort(3, 4_000), Effort(6, 40_000))


def prove_decode(
    graphs: Mapping[int, Graph],
    problem: DecodeProblem,
    binding: Binding,
    runtime: Callable[[int], Runner],
    options: SearchOptions,
    bounds_first: bool = True,
    resume: Certificate | None = None,
) -> DecodeResult:
    """Verifies one property of a decoding network.

    ``graphs`` holds the decode graph of each length of prompt; ``runtime(length)`` decodes on the
    real runtime and is asked only to confirm a counterexample. Without ``bounds_first`` texts are
    run at once: for networks of which bounds say nothing. ``resume``: a certificate of the same
    graphs and problem, of which the open prompts are taken up. Raises InputError for one of others.
    """
    earlier = None if resume is None else _proofs(resume, graphs, problem)
    return _Proof(graphs, problem, binding, runtime, options, bounds_first, earlier).run()


def _proofs(
    resume: Certificate, graphs: Mapping[int, Graph], problem: DecodeProblem
) -> tuple[bytes, ...]:
    of_this = resume.graph == graphs_digest(graphs) and resume.problem == problem
    if not of_this or len(resume.proofs) != len(problem.cells):
        raise InputError(f"{problem.name}: the certificate to resume is of another proof")
    return resume.proofs


@dataclass
class _Proof:
    graphs: Mapping[int, Graph]
    problem: DecodeProblem
    binding: Binding
    runtime: Callable[[int], Runner]
    options: SearchOptions
    bounds_first: bool
    earlier: Sequence[bytes] | None
    """The proofs of the cells to go on from."""
    started: float = field(default_factory=time.monotonic)
    found: DecodeCounterexample | None = None

    def run(self) -> DecodeResult:
        self.deadline = Deadline.after(0.6 * self.options.timeout)
        outlook = Outlook(self.problem)
        self.random = random.Random(self.options.seed)
        bounds = {n: StepBounds(self.problem, g, n) for n, g in self.graphs.items()}
        decoders = {n: Decoder(g, self.problem) for n, g in self.graphs.items()}
        self.cells = [
            Cell(
                Rules(self.problem, cell, outlook),
                PromptSpace(n).of_cell(self.problem, cell),
                self.graphs[n],
                bounds[n],
                decoders[n],
            )
            for cell in self.problem.cells
            for n in (len(cell.slots),)
        ]
        self._take_up()
        if any(self._attack(c.left, c) for c in self.cells):
            return self._falsified()
        if any(self._search(cell) or self._enumerate(cell) for cell in self.cells):
            return self._falsified()
        return self._checked()

    def _take_up(self) -> None:
        """Begins with the earlier proofs. Raises InputError where they are none."""
        try:
            for cell, proof in zip(self.cells, self.earlier or (), strict=False):
                cell.take_up(proof)
        except CertificateError as error:
            raise InputError(f"{self.problem.name}: cannot be resumed: {error}") from error

    @property
    def _over(self) -> bool:
        """Whether a counterexample is the whole answer, and there is one."""
        return self.found is not None and not self.options.count

    def _search(self, cell: Cell) -> bool:
        """Fills in the cell's proof; whether a counterexample on the way ends everything."""
        if cell.open is not None and not cell.open:
            return False
        if not self.bounds_first:
            cell.keep(Branch(cell.rules.root()), [])
            return False
        deadline = self._patience(cell)
        for search in self._searches(cell, deadline):
            if not cell.open:
                return False
            if self._attack(cell.open, cell):
                return True
            if cell.open.count <= SMALL and not self.problem.probes:
                Remainder(search, cell.open.united()).close()
                cell.keep(search.root, search.shared)
            if not cell.open or deadline.left() <= 0:
                return False
        return False

    def _searches(self, cell: Cell, deadline: Deadline) -> Iterator[CellSearch]:
        """Searches with more and more effort, each when it has been run.

        After an earlier proof: first what that leaves undecided, where it stands; then what is
        left open, from the root.
        """
        if cell.tree is not None and (begun := undecided(cell.tree, cell.shared)):
            search = self._new(cell, EFFORTS[-1], deadline)
            search.root, search.shared = cell.tree, list(cell.shared)
            yield _run(cell, search, begun)
        # A single step has no consequences: what one effort leaves, the next would split further.
        once = self.problem.steps == 1 or self.earlier is not None
        for effort in EFFORTS[-1:] if once else EFFORTS:
            search, begun = self._new(cell, effort, deadline), []
            if self.earlier is not None:
                begun, search.shared = cell.set_apart(search.root)
            yield _run(cell, search, begun)

    def _new(self, cell: Cell, effort: Effort, deadline: Deadline) -> CellSearch:
        seed, jobs, progress = self.options.seed, self.options.jobs, self.options.progress
        bounds, decoder = TimedBounds(cell.bounds, deadline), cell.decoder
        return CellSearch(cell.rules, bounds, decoder, effort, deadline, seed, jobs, progress)

    def _patience(self, cell: Cell) -> Deadline:
        """A search by bounds may take a part of what running every text would."""
        count = cell.left.count
        if count > self.deadline.left() / (SHARE * QUICKEST):
            return self.deadline
        few = sample(cell.region, FEW, self.random)
        begun = time.monotonic()
        if len(few):
            cell.bounds.runs.harmless_texts(cell.rules.cell, few)
        each = (time.monotonic() - begun) / max(1, len(few))
        return Deadline.after(min(self.deadline.left(), max(LEAST, SHARE * each * count)))

    def _enumerate(self, cell: Cell) -> bool:
        """Runs what the search left open, as far as time allows; whether that ends everything."""
        if not cell.open or self.deadline.left() <= 0:
            return False
        try:
            left = cell.open.united()
        except TooLargeError:
            return False
        root, old = Branch(cell.rules.root()), cell.tree
        whole = None if old is None else Shared(old.state, old)
        deadline = Deadline.after(CHECKED * self.deadline.left())
        fast = Decoder(cell.graph, self.problem, load=_single)
        jobs, close, tell = self.options.jobs, self._close(cell), self.options.progress
        work = Enumeration(cell.rules, cell.bounds, fast, deadline, jobs, whole, close, tell)
        for suspects in work.run(root, left.root):
            if self._confirm(suspects):
                return True
        cell.keep(root, cell.shared if whole is None else [whole, *cell.shared])
        return False

    def _close(self, cell: Cell) -> float:
        """The margin below which the checker may see a tie, as a few texts tell."""
        if self.problem.semantics.contract is None:
            return CLOSE
        few = sample(cell.region, FEW, self.random)
        doubt = cell.bounds.runs.doubt(few)
        return max(CLOSE, DOUBTS * doubt) if math.isfinite(doubt) else math.inf

    def _attack(self, prompts: Pieces, cell: Cell) -> bool:
        """Runs prompts out of a set; whether a catastrophic one among them ends everything."""
        if self.found is not None:
            return self._over
        chosen = sample(prompts, ATTACKS, self.random)
        if not len(chosen):
            return False
        written = cell.decoder.decode(chosen)
        each = zip(chosen.tolist(), written.tokens.tolist(), written.found.tolist(), strict=True)
        bad = [self.problem.catastrophic(p, until_stop(text), found) for p, text, found in each]
        return self._confirm(chosen[np.array(bad, dtype=np.bool_)])

    def _confirm(self, suspects: IntArray) -> bool:
        """Whether one of them, of some at least, is catastrophic on the real runtime, and that
        ends everything. The first such is kept."""
        suspects = suspects[:SUSPECTS]
        if self.found is not None or not len(suspects):
            return self._over
        real = self.runtime(suspects.shape[1])(suspects)
        each = zip(suspects, real.tokens, real.margins, real.found.tolist(), strict=True)
        for prompt, text, margins, found in each:
            output = until_stop(text.tolist())
            if self.problem.catastrophic(prompt.tolist(), output, found):
                self.found = DecodeCounterexample(
                    tuple(prompt.tolist()), output, tuple(margins.tolist()[: len(output)])
                )
                break
        return self._over

    def _falsified(self) -> DecodeResult:
        return DecodeResult(
            self.problem, Verdict.FALSIFIED, self._effort(0.0), counterexample=self.found
        )

    def _effort(self, check: float) -> result.Effort:
        search = time.monotonic() - self.started - check
        return result.Effort(search, check, sum(cell.cases for cell in self.cells))

    def _checked(self) -> DecodeResult:
        """Verified, where the checker accepts the whole proof; else unknown, or falsified."""
        certificate = Certificate(
            self.binding.model,
            self.binding.spec,
            graphs_digest(self.graphs),
            self.problem,
            tuple(cell.proof for cell in self.cells),
        ).to_bytes()
        begun = time.monotonic()
        tell, jobs = self.options.progress, self.options.jobs
        told = None if tell is None else (lambda cases: tell(Checking(cases)))
        claim = Certificate.from_bytes(certificate)
        report = check_decode(claim, self.graphs, self.problem, told, jobs)
        effort = self._effort(time.monotonic() - begun)
        if self.found is not None:
            verdict = Verdict.FALSIFIED
        else:
            verdict = Verdict.VERIFIED if report.accepted else Verdict.UNKNOWN
        reason = _reason(report) if verdict is Verdict.UNKNOWN else ""
        return DecodeResult(self.problem, verdict, effort, certificate, report, self.found, reason)


def _run(cell: Cell, search: CellSearch, begun: Sequence[Branch]) -> CellSearch:
    search.run(begun)
    cell.cases += search.cases
    cell.keep(search.root, search.shared, search.unfinished)
    return search


def _reason(report: DecodeReport) -> str:
    if report.rejected:
        return f"the checker turned {len(report.rejected)} steps of the proof down"
    return f"{report.open_count} of {report.prompts} prompts are open"


def _single(constant: FloatArray) -> Any:
    return constant.astype(np.float32)


def sample(prompts: Pieces | PromptSet, count: int, source: random.Random) -> IntArray:
    """All prompts of a set, or ``count`` drawn uniformly: (prompts, slots)."""
    few = prompts.count <= count
    rows = list(prompts) if few else [prompts.draw(source) for _ in range(count)]
    return np.array(rows, dtype=np.int64).reshape((len(rows), prompts.space.slots))
