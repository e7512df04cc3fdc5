"""One cell of a decoding problem with the best proof that was found of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from absint.decode.greedy import Decoder
from absint.decode.resume import from_bytes, set_apart
from absint.decode.tree import Branch, Shared, to_bytes
from absint.ir import Graph
from absint.problem.pieces import Pieces
from absint.problem.promptset import PromptSet, TooLargeError
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.remaining import OpenPrompts
from absint.proofs.decode.state import Rules
from absint.proofs.decode.stream import Rule
from absint.proofs.decode.walk import Walk


@dataclass
class Cell:
    """One cell with what has been found of it."""

    rules: Rules
    region: PromptSet
    """Its prompts, all of them."""
    graph: Graph
    bounds: StepBounds
    decoder: Decoder
    proof: bytes = b""
    cases: int = 0
    open: Pieces | None = None
    decided: int = 0
    """How many states the proof decides."""
    tree: Branch | None = None
    shared: list[Shared] = field(default_factory=list)

    @property
    def left(self) -> Pieces:
        """The prompts that are open: all of them, where there is no proof yet."""
        return Pieces(self.region.space, [self.region]) if self.open is None else self.open

    def keep(self, root: Branch, shared: Sequence[Shared], unfinished: bool = False) -> None:
        """Takes a proof where it leaves fewer prompts open than the one before.

        Or as many, where it is that one gone on with, or was cut off and yet decides more states.
        """
        problem = self.rules.problem
        proof = to_bytes(root, shared, len(problem.vocabulary))
        walk = Walk(problem, self.rules.cell, proof, self.rules.outlook)
        still_open, decided = OpenPrompts(problem, self.rules.cell), 0
        for visit in walk.visits():
            still_open.add(visit)
            decided += visit.step.rule is not Rule.OPEN
        found = still_open.found()
        further = root is self.tree or (unfinished and decided > self.decided)
        if self.open is None or found.count < self.open.count + further:
            self.proof, self.open, self.decided = proof, found, decided
            self.tree, self.shared = root, list(shared)

    def take_up(self, proof: bytes) -> None:
        """Begins with an earlier proof. Raises CertificateError where it breaks a rule."""
        self.keep(*from_bytes(proof, self.rules))

    def set_apart(self, root: Branch) -> tuple[list[Branch], list[Shared]]:
        """Where below ``root`` to begin with what is open, and the states that prove the rest.

        Neither, where all is open, or it is too much to tell.
        """
        if self.tree is None or self.left.count == self.region.count:
            return [], []
        try:
            left = self.left.united()
        except TooLargeError:
            return [], []
        whole = Shared(self.tree.state, self.tree)
        return set_apart(root, left, self.rules, whole), [whole, *self.shared]
