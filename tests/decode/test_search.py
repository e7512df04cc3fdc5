"""Searches that divide the prompts by what their machines say, against enumeration."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from decoders import Decoder as Model

from absint.decode.greedy import Decoder
from absint.decode.influence import Influence
from absint.decode.network import decode_graph
from absint.decode.outcomes import Outcomes
from absint.decode.prove import prove_decode
from absint.decode.queue import Queue
from absint.decode.tree import Branch
from absint.ir import Graph
from absint.problem.decode import All, Atom, DecodeProblem, Machine, Not, PromptCell, Some
from absint.problem.outlook import Outlook
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.state import Rules, State
from absint.search.options import SearchOptions
from absint.search.prove import Binding
from absint.search.result import Verdict

SIZE, SLOTS = 5, 3
PROMPTS = list(itertools.product(range(SIZE), repeat=SLOTS))


def says(reader: Machine, labels: int) -> DecodeProblem:
    """The catastrophe: the one token that is emitted is not the label that ``reader`` ends with."""
    emitted = tuple(range(1, SIZE + 1))
    writer = Machine("output", (emitted, *[(0,) * SIZE] * SIZE), (SIZE, *range(SIZE)))
    agree = tuple(
        All((Atom(0, frozenset([label])), Atom(1, frozenset([label])))) for label in range(labels)
    )
    cell = PromptCell((frozenset(range(SIZE)),) * SLOTS)
    names = tuple(f"t{i}" for i in range(SIZE))
    return DecodeProblem("p", names, (cell,), 1, frozenset(), (reader, writer), Not(Some(agree)))


def largest() -> Machine:
    """State 0 has read nothing; state t + 1 says t."""
    table = [tuple(max(state, token + 1) for token in range(SIZE)) for state in range(SIZE + 1)]
    return Machine("prompt", tuple(table), (0, *range(SIZE)))


def tree(labels: dict[tuple[int, ...], int]) -> Machine:
    """A machine that tells all prompts apart, with a label for each."""
    texts = [t for n in range(SLOTS + 1) for t in itertools.product(range(SIZE), repeat=n)]
    number = {text: i for i, text in enumerate(texts)}
    table = tuple(tuple(number.get((*text, token), 0) for token in range(SIZE)) for text in texts)
    return Machine("prompt", table, tuple(labels.get(text, 0) for text in texts))


def network(seed: int) -> Graph:
    model = Model(vocabulary=SIZE, seed=seed, layers=1, activation="relu" if seed % 2 else "")
    return decode_graph(model.graph(SLOTS), 1)


@pytest.mark.parametrize("seed", range(12))
def test_what_stays_open_are_the_prompts_that_differ(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine says what the network does, but for a few prompts."""
    monkeypatch.setattr("absint.decode.prove.ATTACKS", 0)
    monkeypatch.setattr("absint.decode.prove.SUSPECTS", 0)
    graph, rng = network(seed), random.Random(seed)
    problem = says(tree({}), SIZE)
    written = Decoder(graph, problem).decode(np.array(PROMPTS)).tokens[:, 0].tolist()
    labels = dict(zip(PROMPTS, written, strict=True))
    wrong = set(rng.sample(PROMPTS, seed % 4))
    for prompt in wrong:
        labels[prompt] = (labels[prompt] + 1) % SIZE
    problem = says(tree(labels), SIZE)
    result = prove_decode(
        {SLOTS: graph}, problem, Binding("0" * 64, "1" * 64),
        lambda _: Decoder(graph, problem).decode, SearchOptions(timeout=60),
    )  # fmt: skip
    if result.counterexample is not None:
        assert result.counterexample.prompt in wrong
    else:
        assert result.report is not None
        assert set(result.report.open_prompts[0]) == wrong
    assert (result.verdict is Verdict.VERIFIED) == (not wrong)


def test_tokens_that_decide_are_split_off() -> None:
    """Down to sets on which the largest token is one: disjoint, and no more than needed."""
    problem = says(largest(), SIZE)
    rules = Rules(problem, problem.cells[0], Outlook(problem))
    outcomes, waiting, leaves = Outcomes(rules), [rules.root()], list[State]()
    while waiting:
        state = waiting.pop()
        cut = outcomes.cut(state)
        if cut is None:
            leaves.append(state)
        else:
            waiting += rules.split(state, *cut)
    assert len(leaves) == SLOTS * (SIZE - 1) + 1
    found = []
    for leaf in leaves:
        own = list(itertools.product(*(rules.tokens(mask) for mask in leaf.sets)))
        assert len({max(prompt) for prompt in own}) == 1
        found += own
    assert sorted(found) == PROMPTS


@pytest.mark.parametrize("seed", range(6))
def test_tokens_said_to_be_safe_are(seed: int) -> None:
    """With attention alone and a known query, what a token adds is exact."""
    graph = network(2 * seed)
    problem = says(largest(), SIZE)
    bounds = StepBounds(problem, graph, SLOTS)
    rng = random.Random(seed)
    masks = [rng.randrange(1, 1 << SIZE) for _ in range(SLOTS - 1)]
    state = State((*masks, 1 << rng.randrange(SIZE)), 0, (0,), (0,), False)
    rows = np.zeros((1, 2, SIZE))
    rows[0, :, 0], rows[0, 0, 1], rows[0, 1, 2] = 1.0, -1.0, -1.0
    safe = Influence.of(*bounds.view([state]), rows).safe()[0]
    for slot, token in zip(*np.nonzero(safe), strict=True):
        sets = (*state.sets[:slot], 1 << int(token), *state.sets[slot + 1 :])
        part = State(sets, 0, (0,), (0,), False)
        assert (bounds.margins([part]).least(rows) > -1e-9).all()


def test_the_largest_state_comes_first() -> None:
    sizes = [0b1, 0b111, 0b11]
    queue = Queue(Branch(State((mask,), 0, (), (), False)) for mask in sizes)
    queue.add([Branch(State((0b100,), 0, (), (), False))], urgent=True)
    assert [queue.pop().state.sets[0] for _ in range(4)] == [0b100, 0b111, 0b11, 0b1]
    assert not queue
