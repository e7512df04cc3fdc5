"""The checker of decoding proofs: every token that a step excludes must lose, by its bounds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph
from absint.ir import digest as graph_digest
from absint.problem import LinearConstraint
from absint.problem.canonical_decode import meaning
from absint.problem.decode import DecodeProblem, PromptCell
from absint.problem.outlook import NO, Outlook
from absint.problem.pieces import Pieces
from absint.problem.promptset import PromptSpace
from absint.proofs.arithmetic import FloatArray
from absint.proofs.bounds import Bounds
from absint.proofs.check import KNOWN_OPS, Progress, Rejection, require_contract, side_by_side
from absint.proofs.decode.remaining import OpenPrompts
from absint.proofs.decode.run import Runs
from absint.proofs.decode.state import State
from absint.proofs.decode.stream import Rule
from absint.proofs.decode.walk import Visit, Walk, texts
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.regions import Rows
from absint.proofs.rows import fails, output_row
from absint.proofs.tokens import BoolArray, Tables, TokenSets

BATCH = 64
SLACK = 2.0**-30
"""What a proposed margin must have to spare, so that a check with other roundings accepts it."""


@dataclass
class DecodeReport:
    """What the checker found."""

    name: str
    steps: int = 0
    """How many rules the proof applies."""
    cases: int = 0
    """How many of them are bounds on what the network emits next, or on what a probe says."""
    runs: int = 0
    """How many texts were followed on their own."""
    prompts: int = 0
    """How many prompts the region has, exactly."""
    open_prompts: list[Pieces] = field(default_factory=list)
    """For each cell, the prompts that the proof does not decide."""
    rejected: list[Rejection] = field(default_factory=list)

    @property
    def open_count(self) -> int:
        return sum(found.count for found in self.open_prompts)

    @property
    def accepted(self) -> bool:
        """The certificate proves its problem: all of it was visited and holds, nothing is open."""
        return self.steps > 0 and not self.rejected and not self.open_count


def graphs_digest(graphs: Mapping[int, Graph]) -> str:
    """Binds the decode graphs of all prompt lengths (one digest, hexadecimal)."""
    digests = {str(length): graph_digest(graph) for length, graph in graphs.items()}
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def check_decode(
    certificate: Certificate,
    graphs: Mapping[int, Graph],
    problem: DecodeProblem | None = None,
    progress: Progress | None = None,
    jobs: int = 1,
) -> DecodeReport:
    """Checks a certificate against decode graphs (by length of the prompt).

    ``problem``, where given, is the one that the certificate must be about.

    Raises:
        CertificateError: the certificate is about other graphs or another problem, breaks a rule,
            or a graph has an op that the checker has no rule for.
    """
    claim = certificate.problem
    if not isinstance(claim, DecodeProblem):
        raise CertificateError("the certificate is not about a decoding network")
    if certificate.graph != graphs_digest(graphs):
        raise CertificateError("the certificate is about another network (the graphs differ)")
    if problem is not None and meaning(problem) != meaning(claim):
        raise CertificateError("the certificate is about another problem (the specs differ)")
    if len(certificate.proofs) != len(claim.cells):
        raise CertificateError("a certificate holds one proof for each cell of its problem")
    report, outlook = DecodeReport(claim.name), Outlook(claim)
    bounds = {length: StepBounds(claim, graph, length) for length, graph in graphs.items()}
    for index, (cell, proof) in enumerate(zip(claim.cells, certificate.proofs, strict=True)):
        if len(cell.slots) not in bounds:
            raise CertificateError(f"no graph for prompts of {len(cell.slots)} tokens")
        report.prompts += PromptSpace(len(cell.slots)).of_cell(claim, cell).count
        walk = Walk(claim, cell, proof, outlook)
        _check_cell(index, cell, walk, bounds[len(cell.slots)], report, progress, jobs)
    return report


def _check_cell(
    index: int,
    cell: PromptCell,
    walk: Walk,
    bounds: StepBounds,
    report: DecodeReport,
    progress: Progress | None,
    jobs: int,
) -> None:
    still_open = OpenPrompts(bounds.problem, cell)
    batches = _batches(walk, still_open, report)
    for _, failed in side_by_side(partial(bounds.failures, cell), batches, jobs):
        for visit in failed:
            reason = _REASONS[visit.step.rule]
            report.rejected.append(Rejection(index, visit.ordinal, reason))
        if progress is not None:
            progress(report.cases)
    report.open_prompts.append(still_open.found())


_REASONS = {
    Rule.CASES: "a token that it excludes may be emitted, by its bound",
    Rule.RUN: "one of its texts is not proved to be harmless",
    Rule.PROBE: "a probe may say otherwise, by its bound",
}


def _batches(walk: Walk, still_open: OpenPrompts, report: DecodeReport) -> Iterator[list[Visit]]:
    """The claims about emitted tokens and probes, in batches of one step of the decoder each.

    Where many claims name the same tokens they go together: their bounds have the same rows.
    """
    waiting: dict[tuple[tuple[int, ...], tuple[int, ...]], list[Visit]] = {}
    for visit in walk.visits():
        report.steps += 1
        still_open.add(visit)
        if visit.step.rule in (Rule.CASES, Rule.PROBE):
            report.cases += 1
            key = (_kind(visit), visit.step.beaters)
            batch = waiting.setdefault(key, [])
            batch.append(visit)
            if len(batch) >= BATCH:
                yield waiting.pop(key)
        elif visit.step.rule is Rule.RUN:
            report.runs += texts(visit.state)
            yield [visit]
    for _, group in groupby(sorted(waiting), key=lambda key: key[0]):
        rest = [visit for key in group for visit in waiting[key]]
        yield from (rest[begin : begin + BATCH] for begin in range(0, len(rest), BATCH))


def _kind(visit: Visit) -> tuple[int, ...]:
    """What the claims of one batch have in common: their numbers, and what is asked of these."""
    step, state = visit.step, visit.state
    return (len(state.sets), step.rule, step.probe, step.says)


class StepBounds:
    """Rigorous bounds of what one decode graph emits next, for batches of states."""

    def __init__(self, problem: DecodeProblem, graph: Graph, prompt: int) -> None:
        self.problem, self.prompt = problem, prompt
        self._size = len(problem.vocabulary)
        self._check(graph)
        if len(graph.inputs) != problem.reads(prompt):
            raise CertificateError(f"the graph does not read prompts of {prompt} tokens")
        self._graphs = [replace(graph, outputs=(port,)) for port in graph.outputs]
        self._tables = Tables(graph, self._size, problem.semantics.contract)
        for place, view in enumerate(self._graphs):
            detector, step = divmod(place, problem.steps)
            reads = self._tables.slots[view.outputs[0].node]
            if not reads <= frozenset(range(prompt + step + detector)):
                raise CertificateError(f"what follows step {step} reads a token not yet emitted")
        self._inputs = len(graph.inputs)
        self.runs = Runs(problem, graph, self._tables)

    def _check(self, graph: Graph) -> None:
        widths = [self._size] + [len(self.problem.detector)] * bool(self.problem.detector)
        sizes = [width for width in widths for _ in range(self.problem.steps)]
        if [port.size for port in graph.outputs] != sizes:
            raise CertificateError("the graph does not have the logits of each step as outputs")
        if any(port.size != 1 for port in graph.inputs):
            raise CertificateError("an input of the graph is not one token")
        for node in graph.nodes:
            if node.op not in KNOWN_OPS:
                raise CertificateError(f"the checker has no rule for {node.op!r}")
        require_contract(graph, self.problem.semantics.contract)

    def failures(self, cell: PromptCell, batch: Sequence[Visit]) -> list[Visit]:
        """The claims that the bounds do not prove: one of RUN, or CASES of one step."""
        first = batch[0]
        if first.step.rule is Rule.RUN:
            return [] if self.runs.harmless(cell, first.state) else [first]
        states = [visit.state for visit in batch]
        if first.step.rule is Rule.PROBE:
            says = self.said(states, first.step.probe, first.step.says)
            return [visit for visit, ok in zip(batch, says, strict=True) if not ok]
        claims = [(visit.step.tokens, visit.step.beaters) for visit in batch]
        held = self.excluded(states, claims)
        return [visit for visit, ok in zip(batch, held, strict=True) if not ok]

    def said(self, states: Sequence[State], probe: int, says: int, slack: float = 0.0) -> BoolArray:
        """Whether in each state the probe says so (NO or YES) of every text, ``slack`` to spare."""
        return fails(self.probed(states, probe, says) - slack, self._refuted(probe, says))

    def probed(self, states: Sequence[State], probe: int, says: int) -> FloatArray:
        """(states,): at least by how much the constraint fails that a probe's answer refutes."""
        width = self.problem.width(self.problem.probes[probe])
        row = output_row(self._refuted(probe, says), width)
        least: FloatArray = self.margins(states).least_of(row)[:, 0]
        return least

    def _refuted(self, probe: int, says: int) -> LinearConstraint:
        row = self.problem.probes[probe].row
        return row if says == NO else row.negated()

    def excluded(
        self, states: Sequence[State], claims: Sequence[tuple[Sequence[int], Sequence[int]]]
    ) -> list[bool]:
        """Whether in each state every token but the claimed ones loses to one of the beaters."""
        allowed = self._allowed(states)
        missing = [{j for j in allowed if j not in tokens} for tokens, _ in claims]
        left = self._unbeaten(states, missing, [beaters for _, beaters in claims])
        return [not tokens for tokens in left]

    def possible(
        self, states: Sequence[State], beaters: Sequence[Sequence[int]]
    ) -> list[tuple[int, ...]]:
        """The tokens of each state that lose to none of its beaters, and these: its cases."""
        allowed = self._allowed(states)
        missing = [{j for j in allowed if j not in own} for own in beaters]
        left = self._unbeaten(states, missing, beaters, SLACK)
        return [tuple(sorted({*own, *tokens})) for own, tokens in zip(beaters, left, strict=True)]

    def _allowed(self, states: Sequence[State]) -> list[int]:
        return sorted(self.problem.emitted(len(states[0].sets) - self.prompt))

    def _unbeaten(
        self,
        states: Sequence[State],
        missing: list[set[int]],
        beaters: Sequence[Sequence[int]],
        slack: float = 0.0,
    ) -> list[set[int]]:
        """Which of the ``missing`` tokens of each state lose to none of its beaters."""
        margins = self.margins(states)
        allowed = self._allowed(states)
        for turn in range(max(map(len, beaters), default=0)):
            which = [i for i, own in enumerate(beaters) if missing[i] and turn < len(own)]
            if not which:
                continue
            chosen = [beaters[i][turn] for i in which]
            if not set(chosen) <= set(allowed):
                raise CertificateError("a token that may not be emitted is said to beat another")
            lost = margins.losers(which, chosen, [sorted(missing[i]) for i in which], slack)
            for i, tokens in zip(which, lost, strict=True):
                missing[i] -= tokens
        return missing

    def margins(self, states: Sequence[State]) -> Margins:
        """The bounds of a batch of states of one step."""
        return Margins(*self.view(states))

    def view(self, states: Sequence[State]) -> tuple[Graph, Tables, BoolArray]:
        """The graph of what follows, its tables, and the sets of a batch of states of one step.

        A step's logits, or where the texts have ended what the detector says of them.
        """
        place = len(states[0].sets) - self.prompt + (self.problem.steps - 1) * states[0].ended
        sets = np.ones((len(states), self._inputs, self._size), dtype=np.bool_)
        for row, state in enumerate(states):
            for slot, mask in enumerate(state.sets):
                sets[row, slot] = self._row(mask)
        return self._graphs[place], self._tables, sets

    def _row(self, mask: int) -> NDArray[np.bool_]:
        data = np.frombuffer(mask.to_bytes((self._size + 7) // 8, "little"), dtype=np.uint8)
        return np.unpackbits(data, bitorder="little")[: self._size].astype(np.bool_)


class Margins:
    """How far, at least, one token's logit is above another's in each state of a batch."""

    def __init__(self, graph: Graph, tables: Tables, sets: BoolArray) -> None:
        self._size = graph.output_size
        region = TokenSets(tables, sets, graph.outputs[0].node)
        self._bounds = Bounds(graph, region, tables.contract)

    def least(self, rows: FloatArray, signs: bool = False) -> FloatArray:
        """Lower bounds (states, rows) of linear functions (states or 1, rows, tokens) of logits.

        With ``signs`` of these times positive numbers: for questions of sign alone.
        """
        none = np.zeros((1, rows.shape[1], 0))
        zeros = np.zeros((1, rows.shape[1]))
        return self.least_of(Rows(none, none, rows, np.zeros_like(rows), zeros), signs)

    def least_of(self, rows: Rows, signs: bool = False) -> FloatArray:
        """The same for rows with errors and bounds."""
        return self._bounds.minimum(rows, signs)

    def losers(
        self,
        which: Sequence[int],
        beaters: Sequence[int],
        others: Sequence[Sequence[int]],
        slack: float = 0.0,
    ) -> list[set[int]]:
        """For each state named, those of ``others`` that lose to its beater for certain.

        Of two equal logits the token with the lower index wins. ``slack`` is asked for on top.
        """
        width = max(map(len, others))
        rows = np.zeros((self._bounds.region.batch, width, self._size))
        for state, beater, tokens in zip(which, beaters, others, strict=True):
            index = np.arange(len(tokens))
            rows[state, index, beater] += 1.0
            rows[state, index, tokens] -= 1.0
        shared = bool((rows == rows[:1]).all())
        margin = self.least(rows[:1] if shared else rows, signs=True)
        return [
            {
                token
                for token, found in zip(tokens, margin[state], strict=False)
                if found > slack or (found >= slack and beater < token)
            }
            for state, beater, tokens in zip(which, beaters, others, strict=True)
        ]
