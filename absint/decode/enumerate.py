"""Whole regions by running their texts: for networks of which bounds say nothing.

The region is cut into boxes of a few thousand texts. Plain decoding says which texts of a box are
harmless; the checker runs them again, rigorously, so nothing here is trusted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from absint.decode.greedy import Decoder, Transcript
from absint.decode.status import Moment, Running
from absint.decode.timed import OutOfTimeError, require_time
from absint.decode.tree import Branch, Shared
from absint.ir.affine import IntArray
from absint.problem.decode import DecodeProblem, until_stop
from absint.problem.promptset import EMPTY, Node, members
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.state import Rules
from absint.proofs.decode.stream import Rule, Step
from absint.proofs.decode.walk import texts
from absint.proofs.tokens import BoolArray
from absint.search.options import Deadline

BOX = 4096
"""Texts that are run together: one rule of the proof."""
PART = 512
"""Of these, between two looks at the time."""
CLOSE = 1e-3
"""A margin that rounding, also to float32, may decide."""


@dataclass
class Enumeration:
    """Closes, by running, the prompts of ``node`` that the branch ``root`` holds.

    ``whole``, where given, proves everything that is not in ``node``, and takes what the deadline
    leaves. Texts that are not harmless stay undecided.
    """

    rules: Rules
    bounds: StepBounds
    decoder: Decoder
    deadline: Deadline
    jobs: int = 1
    whole: Shared | None = None
    close: float = CLOSE
    """Below this margin a text is run rigorously at once."""
    progress: Callable[[Moment], None] | None = None
    texts: int = 0
    """How many texts were run."""
    _left: list[tuple[Branch, Node, int]] = field(default_factory=list)

    def run(self, root: Branch, node: Node) -> Iterator[IntArray]:
        """Runs box after box; yields catastrophic prompts, (prompts, slots), as they turn up."""
        self._left = [(root, node, 0)]
        boxes = self._boxes()
        with ThreadPoolExecutor(self.jobs) as pool:
            while batch := list(itertools.islice(boxes, self.jobs)):
                for branch, found in zip(batch, pool.map(self._open, batch), strict=True):
                    if found is None:
                        self._left.append((branch, node, 0))
                        continue
                    left, bad = found
                    self.texts += texts(branch.state)
                    self._close(branch, left, 0)
                    if len(bad):
                        yield bad
                if self.progress is not None:
                    self.progress(Running(self.texts, node.count))
        if self.whole is not None:
            for branch, _, _ in self._left:
                branch.lead_to(self.whole)

    def _boxes(self) -> Iterator[Branch]:
        """The branches that are small enough to be run, dividing larger ones on the way."""
        while self._left and self.deadline.left() > 0:
            branch, node, slot = self._left.pop()
            if node is EMPTY and self.whole is not None:
                branch.lead_to(self.whole)
            elif texts(branch.state) <= BOX or slot == self.rules.slots:
                yield branch
            else:
                self._divide(branch, node, slot)

    def _divide(self, branch: Branch, node: Node, slot: int) -> None:
        """Parts of as many tokens as fit a box, at least one; those not in the set on their own."""
        own = branch.state.sets[slot]
        room = max(1, BOX * own.bit_count() // texts(branch.state))
        parts: list[tuple[int, Node]] = []
        rest = own
        for mask, target in node.edges:
            tokens = list(members(mask & own))
            rest &= ~mask
            for start in range(0, len(tokens), room):
                parts.append((sum(1 << t for t in tokens[start : start + room]), target))
        if rest:
            parts.append((rest, EMPTY))
        children = self._split(branch, slot, [mask for mask, _ in parts])
        following = [
            (child, target, slot + 1) for child, (_, target) in zip(children, parts, strict=True)
        ]
        self._left += reversed(following)

    def _split(self, branch: Branch, slot: int, parts: Sequence[int]) -> list[Branch]:
        if len(parts) == 1:
            return [branch]
        step = Step(Rule.SPLIT, slot=slot, parts=tuple(parts))
        return branch.close(step, self.rules.split(branch.state, slot, parts))

    def _open(self, branch: Branch) -> tuple[IntArray, IntArray] | None:
        """The prompts of a box that are not proved, and those of them that are catastrophic.

        None: the deadline was over before.
        """
        sets = (list(members(mask)) for mask in branch.state.sets)
        prompts = np.array(list(itertools.product(*sets)), dtype=np.int64)
        parts = [prompts[begin : begin + PART] for begin in range(0, len(prompts), PART)]
        with suppress(OutOfTimeError):
            found = [self._run(part) for part in parts]
            left, bad = (np.concatenate(masks) for masks in zip(*found, strict=True))
            return prompts[left], prompts[bad & left]
        return None

    def _run(self, prompts: IntArray) -> tuple[BoolArray, BoolArray]:
        """Which prompts are not proved, and which are catastrophic. Raises OutOfTimeError."""
        require_time(self.deadline)
        written = self.decoder.decode(prompts)
        bad = self._catastrophic(prompts, written)
        close = np.nan_to_num(written.margins, nan=np.inf).min(axis=1) < self.close
        close |= (np.abs(written.values) < self.close).any(axis=1)
        left = bad.copy()
        if close.any():
            require_time(self.deadline)
            left[close] = ~self.bounds.runs.harmless_texts(self.rules.cell, prompts[close])
        return left, bad

    def _catastrophic(self, prompts: IntArray, written: Transcript) -> BoolArray:
        problem: DecodeProblem = self.rules.problem
        return np.array(
            [
                problem.violates(self.rules.cell, prompt, until_stop(text), found)
                for prompt, text, found in zip(
                    prompts.tolist(), written.tokens.tolist(), written.found.tolist(), strict=True
                )
            ],
            dtype=np.bool_,
        )

    def _close(self, branch: Branch, left: IntArray, slot: int) -> None:
        """Runs a box but for the prompts ``left``, which stay open one by one."""
        if not len(left):
            branch.close(Step(Rule.RUN))
        elif slot < self.rules.slots:
            own, singles = branch.state.sets[slot], sorted(set(left[:, slot].tolist()))
            rest = own & ~sum(1 << token for token in singles)
            parts = [1 << token for token in singles] + [rest] * bool(rest)
            children = self._split(branch, slot, parts)
            for child, token in zip(children, singles, strict=False):
                self._close(child, left[left[:, slot] == token], slot + 1)
            if rest:
                self._close(children[-1], left[:0], slot + 1)
