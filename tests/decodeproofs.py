"""Decoding proofs as trees that tests can alter, and problems with known violating prompts."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from enumerated import BINDING, case, violations
from probecases import detector_case, truth

from absint.decode.greedy import Decoder
from absint.decode.prove import prove_decode
from absint.ir import Graph
from absint.problem.decode import DecodeProblem
from absint.proofs.decode.check import DecodeReport, check_decode
from absint.proofs.decode.state import State
from absint.proofs.decode.stream import Reader, Step, Writer
from absint.proofs.format import Certificate, CertificateError
from absint.search.options import SearchOptions

Prompts = set[tuple[int, ...]]


@dataclass(eq=False)
class Tree:
    """A rule with the proofs of what it leaves."""

    step: Step
    parts: list[Tree] = field(default_factory=list)

    def nodes(self) -> Iterator[Tree]:
        yield self
        for part in self.parts:
            yield from part.nodes()

    def copy(self) -> Tree:
        return Tree(self.step, [part.copy() for part in self.parts])

    def become(self, other: Tree) -> None:
        other = other.copy()
        self.step, self.parts = other.step, other.parts

    def fill(self, leaf: Step) -> None:
        """Gives the rule as many parts as it takes: parts are dropped, or leaves added."""
        self.parts = self.parts[: self.step.arity]
        self.parts += [Tree(leaf) for _ in range(self.step.arity - len(self.parts))]


@dataclass(eq=False)
class Proof:
    """The proof of one cell: tree i + 1 proves shared state i."""

    shared: list[State]
    trees: list[Tree]

    def copy(self) -> Proof:
        return Proof(list(self.shared), [tree.copy() for tree in self.trees])

    def nodes(self) -> list[Tree]:
        return [node for tree in self.trees for node in tree.nodes()]

    def text(self, vocabulary: int) -> bytes:
        writer = Writer(vocabulary)
        for state in self.shared:
            writer.shared(state)
        for node in self.nodes():
            writer.step(node.step)
        return writer.to_bytes()


def parse(data: bytes, problem: DecodeProblem, slots: int) -> Proof:
    reader = Reader(data, problem, slots)
    steps = reader.steps()

    def tree() -> Tree:
        step = next(steps)
        return Tree(step, [tree() for _ in range(step.arity)])

    return Proof(reader.shared, [tree() for _ in range(1 + len(reader.shared))])


@dataclass(frozen=True)
class Case:
    """A problem with its proof, which may leave prompts open, and the truth by enumeration."""

    problem: DecodeProblem
    graph: Graph
    slots: int
    certificate: Certificate
    bad: tuple[Prompts, ...]
    """For each cell, the violating prompts whose every token wins by a clear margin."""

    def proofs(self) -> list[Proof]:
        return [parse(data, self.problem, self.slots) for data in self.certificate.proofs]

    def claim(self, proofs: list[Proof]) -> Certificate:
        size = len(self.problem.vocabulary)
        return replace(self.certificate, proofs=tuple(proof.text(size) for proof in proofs))

    def report(self, certificate: Certificate) -> DecodeReport | None:
        """What the checker says of a file; None where it refuses it."""
        try:
            read = Certificate.from_bytes(certificate.to_bytes())
            return check_decode(read, {self.slots: self.graph})
        except CertificateError:
            return None

    def closed(self, report: DecodeReport | None) -> tuple[int, ...] | None:
        """A violating prompt that a report without a rejection does not name as open."""
        if report is None or report.rejected:
            return None
        for found, bad in zip(report.open_prompts, self.bad, strict=True):
            missed = [prompt for prompt in sorted(bad) if prompt not in found]
            if missed:
                return missed[0]
        return None


@functools.cache
def proved(seed: int) -> Case:
    """A case with the proof that a search without attacks finds; violating prompts stay open."""
    problem, graph, slots = case(seed)
    certificate = certified(problem, graph, slots, 8 if seed % 2 else 0)
    return Case(problem, graph, slots, certificate, clear(graph, problem))


@functools.cache
def detected(seed: int) -> Case:
    """The same of a problem that speaks of logits and of a detector."""
    own = detector_case(seed)
    certificate = certified(own.problem, own.graph, own.slots, 8 if seed % 2 else 0)
    return Case(own.problem, own.graph, own.slots, certificate, tuple(truth(own)))


def certified(problem: DecodeProblem, graph: Graph, slots: int, small: int) -> Certificate:
    """What a search finds without attacks; remainders of ``small`` prompts are enumerated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("absint.decode.prove.ATTACKS", 0)
        patch.setattr("absint.decode.prove.SUSPECTS", 0)
        patch.setattr("absint.decode.prove.SMALL", small)
        decoder = Decoder(graph, problem)
        result = prove_decode(
            {slots: graph}, problem, BINDING, lambda _: decoder.decode, SearchOptions(timeout=60)
        )
    assert result.certificate is not None
    return Certificate.from_bytes(result.certificate)


def clear(graph: Graph, problem: DecodeProblem, margin: float = 1e-6) -> tuple[Prompts, ...]:
    """The violating prompts of each cell of which no token is in doubt."""
    decoder, found = Decoder(graph, problem), []
    for bad in violations(graph, problem):
        rows = sorted(bad)
        kept: Prompts = set()
        if rows:
            margins = decoder.decode(np.array(rows)).margins
            sure = ~(margins <= margin).any(axis=1)
            kept = {row for row, ok in zip(rows, sure.tolist(), strict=True) if ok}
        found.append(kept)
    return tuple(found)
