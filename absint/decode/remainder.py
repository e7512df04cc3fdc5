"""The rest of a search, prompt by prompt: what stayed open is followed as single texts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from absint.decode.search import BATCH, CellSearch
from absint.decode.timed import OutOfTimeError
from absint.decode.tree import Branch, Shared
from absint.problem.promptset import Node, PromptSet, members
from absint.proofs.decode.stream import Rule, Step


@dataclass
class Remainder:
    """Closes the open prompts of a finished search.

    The new root splits them off, slot by slot; what is not open is contained in the old root.
    """

    search: CellSearch
    prompts: PromptSet

    def close(self) -> None:
        """Replaces the search's root by one that follows the open prompts as single texts."""
        search = self.search
        whole = Shared(search.root.state, search.root)
        search.shared.insert(0, whole)
        search.root = Branch(whole.state)
        singles: list[Branch] = []
        self._divide(search.root, self.prompts.root, 0, whole, singles)
        with suppress(OutOfTimeError):
            while singles and search.deadline.left() > 0:
                singles = self._emit(singles)

    def _divide(
        self, branch: Branch, node: Node, slot: int, whole: Shared, singles: list[Branch]
    ) -> None:
        if slot == self.search.rules.slots:
            singles.append(branch)
            return
        own = branch.state.sets[slot]
        edges = [(1 << token, target) for mask, target in node.edges for token in members(mask)]
        rest = own & ~sum(mask for mask, _ in edges)
        parts = [mask for mask, _ in edges] + [rest] * bool(rest)
        if len(parts) == 1:
            children = [branch]
        else:
            step = Step(Rule.SPLIT, slot=slot, parts=tuple(parts))
            states = self.search.rules.split(branch.state, slot, parts)
            children = branch.close(step, states)
        for child, (_, target) in zip(children, edges, strict=False):
            self._divide(child, target, slot + 1, whole, singles)
        if rest:
            children[-1].lead_to(whole)

    def _emit(self, branches: list[Branch]) -> list[Branch]:
        """One step of the decoder for texts whose slots all hold one token."""
        following: list[Branch] = []
        for begin in range(0, len(branches), BATCH):
            batch = [
                ready
                for branch in branches[begin : begin + BATCH]
                if (ready := self._read(branch)) is not None
            ]
            if batch:
                for branch, tokens, beaters in self.search.decide(batch):
                    step = Step(Rule.CASES, tokens=tokens, beaters=beaters)
                    following += branch.close(step, self.search.rules.cases(branch.state, tokens))
        return following

    def _read(self, branch: Branch) -> Branch | None:
        rules = self.search.rules
        while branch.state.read < rules.slots:
            (branch,) = branch.close(Step(Rule.READ), [rules.read(branch.state)])
        if rules.safe(branch.state):
            branch.close(Step(Rule.DONE))
            return None
        if branch.state.ended:
            branch.close(Step(Rule.OPEN))
            return None
        return branch
