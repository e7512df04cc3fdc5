"""The search for a decoding proof: step by step, splitting slots where the next token is ambiguous.

All states of one step that agree on what matters (the machines and the token emitted last) are
joined into one shared state before the next step: an inductive invariant of the text so far.
Nothing here is trusted: the checker recomputes every bound.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from absint.decode.gauge import Gauge
from absint.decode.greedy import Decoder
from absint.decode.outcomes import Outcomes
from absint.decode.queue import Queue
from absint.decode.split import Cut, Splitter
from absint.decode.status import Bounding, Moment
from absint.decode.timed import OutOfTimeError, require_time
from absint.decode.tree import Branch, Shared
from absint.ir.affine import IntArray
from absint.problem.outlook import NO, YES
from absint.problem.promptset import members
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.state import Rules, State
from absint.proofs.decode.stream import Rule, Step
from absint.proofs.decode.walk import texts
from absint.search.options import Deadline

BATCH = 64
FRONT = 512
"""States taken from the queue at once."""
SAMPLES = 8


@dataclass
class Effort:
    """How far the search goes before it accepts that several tokens may be emitted."""

    depth: int
    """Splits on one path of one tree."""
    branches: int
    """Branches of one tree."""


@dataclass
class CellSearch:
    """The search on one cell. ``root`` and ``shared`` hold the proof when ``run`` returns."""

    rules: Rules
    bounds: StepBounds
    decoder: Decoder
    effort: Effort
    deadline: Deadline
    seed: int = 0
    jobs: int = 1
    progress: Callable[[Moment], None] | None = None
    shared: list[Shared] = field(default_factory=list)
    cases: int = 0
    unfinished: bool = False
    """Whether the deadline cut the search off."""

    def __post_init__(self) -> None:
        self.root = Branch(self.rules.root())
        self._random = random.Random(self.seed)
        self._outcomes = Outcomes(self.rules)
        self._splitter = Splitter(self.rules, self.bounds, self._outcomes)
        self._gauge = Gauge(self.rules, self.bounds)

    def run(self, begun: Sequence[Branch] = ()) -> None:
        """Builds the proof; what the deadline cuts off stays open.

        ``begun``: undecided branches of a proof that it goes on with; none: its root.
        """
        trees: dict[int, list[Branch]] = {}
        for branch in begun or [self.root]:
            trees.setdefault(len(branch.state.sets), []).append(branch)
        while trees and self.deadline.left() > 0:
            tokens = min(trees)
            following: dict[Hashable, Shared] = {}
            self._prove(trees.pop(tokens), following)
            self.shared += following.values()
            for one in following.values():
                one.tree = Branch(one.state)
                trees.setdefault(tokens + 1, []).append(one.tree)
        self.unfinished |= bool(trees)

    def _prove(self, trees: Sequence[Branch], following: dict[Hashable, Shared]) -> None:
        """Decides all branches of the trees of one step, many side by side, the largest first.

        Branches that come out ambiguous draw on an allowance, decided ones add to it.
        """
        waiting = Queue(trees)
        allowance = self.effort.branches * len(trees)
        try:
            while waiting and self.deadline.left() > 0:
                allowance += self._round(waiting, following, allowance > 0)
                self._tell(trees[0].state, len(waiting))
        except OutOfTimeError:
            self.unfinished = True
        self.unfinished |= bool(waiting)

    def _round(self, waiting: Queue, following: dict[Hashable, Shared], more: bool) -> int:
        """Works on the next branches; what that adds to the allowance."""
        batch: list[Branch] = []
        while waiting and len(batch) < FRONT:
            settled = self._settle(waiting.pop(), waiting)
            batch += [settled] if settled else []
        ready = self._probe(batch, waiting, more)
        asked = 2 * (len(batch) - len(ready))
        return (self._emit(ready, waiting, following, more) if ready else 0) - asked

    def _tell(self, state: State, waiting: int) -> None:
        if self.progress is not None:
            steps = self.rules.problem.steps
            step = min(self.rules.emitted(state) + 1, steps)
            self.progress(Bounding(step, steps, self.cases, waiting))

    def _settle(self, branch: Branch, waiting: Queue) -> Branch | None:
        """Applies the rules that need no bounds; None where they decide the branch."""
        state = branch.state
        while self._reads(state):
            state = self.rules.read(state)
            (branch,) = branch.close(Step(Rule.READ), [state])
        if self.rules.safe(state):
            branch.close(Step(Rule.DONE))
            return None
        if state.ended:
            if any(self._gauge.matters(state, probe) for probe in self.rules.asks(state)):
                return branch
            self._end(branch, waiting)
        else:
            cut = self._outcomes.cut(state) if self._outcomes.matter(state) else None
            if cut is None:
                return branch
            waiting.add(self._divide(branch, Cut(*cut, deeper=False)), urgent=True)
        return None

    def _end(self, branch: Branch, waiting: Queue) -> None:
        """Divides a state whose texts have ended by what the prompt says, or leaves it open."""
        if self._outcomes.open(branch.state):
            waiting.add(
                self._divide(branch, Cut(branch.state.read, self.rules.classes(branch.state)))
            )
        else:
            branch.close(Step(Rule.OPEN))

    def _reads(self, state: State) -> bool:
        """Whether the machines can read the next slot, and reading it keeps what would be lost."""
        if state.read >= self.rules.slots:
            return False
        own, whole = state.sets[state.read], self.rules.root().sets[state.read]
        told = own != whole or own.bit_count() == 1 or self.rules.stands(state)
        return told and len(self.rules.classes(state)) == 1

    def _divide(self, branch: Branch, cut: Cut) -> list[Branch]:
        if len(cut.parts) < 2:  # the machines agree, and yet they have to read
            return branch.close(Step(Rule.READ), [self.rules.read(branch.state)])
        step = Step(Rule.SPLIT, slot=cut.slot, parts=tuple(cut.parts))
        states = self.rules.split(branch.state, cut.slot, cut.parts)
        return branch.close(step, states, cut.deeper)

    def _probe(self, batch: list[Branch], waiting: Queue, more: bool) -> list[Branch]:
        """Answers what probes ask of the batch, or splits where they have no one answer.

        The states of which nothing more is to be asked.
        """
        ready = []
        for branch, answers in zip(batch, self._gauge.answers(batch), strict=True):
            state, asked = branch.state, self.rules.asks(branch.state)
            if answers:
                for probe, says in answers:
                    state = self.rules.probe(state, probe, says)
                    (branch,) = branch.close(Step(Rule.PROBE, probe=probe, says=says), [state])
                waiting.add([branch], urgent=True)
                continue
            matter = [probe for probe in asked if self._gauge.matters(state, probe)]
            cut = None
            if matter and more and branch.depth < self.effort.depth:
                cut = self._splitter.probed(branch, matter[0], self._drift(state, matter[0]))
            if cut is not None:
                waiting.add(self._divide(branch, cut))
            elif state.ended:
                self._end(branch, waiting)
            else:
                ready.append(branch)
        return ready

    def _drift(self, state: State, probe: int) -> int:
        """What a probe says of most of a few samples."""
        values = self.decoder.probed(np.array(self._sample(state), dtype=np.int64), probe)
        return YES if float(np.median(values)) <= 0 else NO

    def _emit(
        self,
        batch: list[Branch],
        waiting: Queue,
        following: dict[Hashable, Shared],
        more: bool,
    ) -> int:
        """Decides what may be emitted next in each state of the batch, or splits it.

        The number of states that were decided, less those that were not.
        """
        winners = self._winners([b.state for b in batch])
        deep = [not more or b.depth >= self.effort.depth for b in batch]
        bounded = [i for i in range(len(batch)) if len(winners[i]) == 1 or deep[i]]
        cases = dict(zip(bounded, self._cases(batch, winners, bounded), strict=True))
        split = [
            i for i in range(len(batch)) if i not in cases or (len(cases[i]) > 1 and not deep[i])
        ]
        asked = [(batch[i], winners[i], cases.get(i)) for i in split]
        cuts = dict(zip(split, self._splitter.choose(asked), strict=True))
        late = [i for i in split if cuts[i] is None and i not in cases]
        cases |= zip(late, self._cases(batch, winners, late), strict=True)
        for i, branch in enumerate(batch):
            if (cut := cuts.get(i)) is not None:
                waiting.add(self._divide(branch, cut))
                continue
            step = Step(Rule.CASES, tokens=cases[i], beaters=_beaters(winners[i], cases[i]))
            for child in branch.close(step, self.rules.cases(branch.state, cases[i])):
                self._pass_on(child, waiting, following)
        return len(batch) - 2 * len(split)

    def decide(self, batch: list[Branch]) -> list[tuple[Branch, tuple[int, ...], tuple[int, ...]]]:
        """Each branch with the tokens that may be emitted, and those that beat the others."""
        winners = self._winners([b.state for b in batch])
        found = self._cases(batch, winners, range(len(batch)))
        return [
            (branch, tokens, _beaters(own, tokens))
            for branch, tokens, own in zip(batch, found, winners, strict=True)
        ]

    def _pass_on(self, child: Branch, waiting: Queue, following: dict[Hashable, Shared]) -> None:
        """Joins a state of the next step with those like it; decides it here where it ends."""
        state = child.state
        if state.ended or self.rules.safe(state):
            if self._settle(child, waiting) is not None:
                waiting.add([child])
            return
        state = self._gauge.lasting(state)
        key = (state.read, state.prompt, state.output, state.sets[-1], state.found)
        child.lead_to(following.setdefault(key, Shared(state)))

    def _winners(self, states: Sequence[State]) -> list[list[int]]:
        """The tokens that each state is seen, or expected, to emit; the most frequent first."""
        found = [self._expected(state) for state in states]
        unknown = [i for i, own in enumerate(found) if not own]
        if not unknown:
            return found
        drawn = [self._sample(states[i]) for i in unknown]
        won = self._written(np.array(drawn, dtype=np.int64))
        for i, own, row in zip(unknown, drawn, won, strict=True):
            self._outcomes.learn(states[i], own, row)
            found[i] = [token for token, _ in Counter(sorted(row)).most_common()]
        return found

    def _written(self, texts: IntArray) -> list[list[int]]:
        """The tokens emitted after texts (states, samples, tokens). Raises OutOfTimeError."""
        found: list[list[int]] = []
        for begin in range(0, len(texts), BATCH):
            require_time(self.deadline)
            some = texts[begin : begin + BATCH]
            found += (
                self.decoder.emits(some.reshape((-1, some.shape[2])))
                .reshape((-1, SAMPLES))
                .tolist()
            )
        return found

    def _expected(self, state: State) -> list[int]:
        """What a large state should emit by its labels; of a small one, samples tell the truth."""
        if texts(state) <= SAMPLES or not self._outcomes.matter(state):
            return []
        token = self._outcomes.token(state)
        return [] if token is None else [token]

    def _sample(self, state: State) -> list[list[int]]:
        sets = [list(members(mask)) for mask in state.sets]
        return [[self._random.choice(own) for own in sets] for _ in range(SAMPLES)]

    def _cases(
        self, batch: Sequence[Branch], winners: Sequence[Sequence[int]], which: Sequence[int]
    ) -> list[tuple[int, ...]]:
        """The tokens that may be emitted in the named states, by rigorous bounds."""
        if not which:
            return []
        self.cases += len(which)
        found: dict[int, tuple[int, ...]] = {}
        parts = list(_alike(which, winners))
        states = [[batch[i].state for i in some] for some in parts]
        beaters = [[winners[i] for i in some] for some in parts]
        with ThreadPoolExecutor(self.jobs) as pool:
            answers = pool.map(self.bounds.possible, states, beaters)
            for some, own in zip(parts, answers, strict=True):
                found |= zip(some, own, strict=True)
        return [found[i] for i in which]


def _beaters(winners: Sequence[int], tokens: Iterable[int]) -> tuple[int, ...]:
    return tuple(token for token in winners if token in set(tokens))


def _alike(which: Sequence[int], winners: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Batches. Many states with the same winners are one: they share the rows of their bounds."""
    rest: list[int] = []

    def first(i: int) -> tuple[int, ...]:
        return tuple(winners[i])

    for _, group in groupby(sorted(which, key=first), key=first):
        own = list(group)
        while len(own) >= BATCH // 4:
            yield own[:BATCH]
            own = own[BATCH:]
        rest += own
    for begin in range(0, len(rest), BATCH):
        yield rest[begin : begin + BATCH]
