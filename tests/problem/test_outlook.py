"""Whether the catastrophe can still happen, against every prompt and every output."""

from __future__ import annotations

import random
from itertools import product

import pytest
from decodecases import random_problem, random_tokens

from absint.problem import outlook
from absint.problem.decode import DecodeProblem, PromptCell, Tokens
from absint.problem.outlook import Outlook, may_hold


def outputs(problem: DecodeProblem, begun: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every finished output that starts with ``begun``."""
    if len(begun) == problem.steps or (begun and begun[-1] in problem.stop):
        return [begun]
    return [
        text for token in problem.emitted(len(begun)) for text in outputs(problem, (*begun, token))
    ]


def truth(
    problem: DecodeProblem,
    cell: PromptCell,
    read: tuple[int, ...],
    sets: list[Tokens],
    begun: tuple[int, ...],
) -> bool:
    prompts = [(*read, *rest) for rest in product(*sets[len(read) :])]
    admitted = [
        p for p in prompts if cell.condition is None or problem._holds(cell.condition, p, ())
    ]
    return any(problem.catastrophic(p, t) for t in outputs(problem, begun) for p in admitted)


def questions(seed: int):  # type: ignore[no-untyped-def]
    """(problem, arguments of can_still_happen after the problem, the true answer)."""
    rng = random.Random(seed)
    problem = random_problem(rng)
    for cell in problem.cells:
        sets = [random_tokens(rng, 4) & slot or slot for slot in cell.slots]
        read = tuple(rng.choice(sorted(s)) for s in sets[: rng.randint(0, len(sets))])
        begun: tuple[int, ...] = ()
        for step in range(rng.randint(0, problem.steps)):
            if begun and begun[-1] in problem.stop:
                break
            begun = (*begun, rng.choice(sorted(problem.emitted(step))))
        arguments = (
            cell,
            [problem.machines[i].run(read) for i in problem.machines_of("prompt")],
            len(read),
            sets,
            [problem.machines[i].run(begun) for i in problem.machines_of("output")],
            problem.steps - len(begun),
            bool(begun) and begun[-1] in problem.stop,
        )
        yield problem, arguments, truth(problem, cell, read, sets, begun)


@pytest.mark.parametrize("seed", range(200))
def test_the_answer_is_exact_where_machines_are_small(seed: int) -> None:
    for problem, arguments, expected in questions(seed):
        view = Outlook(problem)
        assert [view.can_still_happen(*arguments) for _ in range(2)] == [expected] * 2


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_beyond_the_limit_it_never_says_no_wrongly(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "MAX_JOINT", limit)
    said_no = 0
    for seed in range(150):
        for problem, arguments, expected in questions(seed):
            answer = Outlook(problem).can_still_happen(*arguments)
            assert answer or not expected
            said_no += not answer
    assert said_no > 20


def test_both_answers_occur() -> None:
    answers = [expected for seed in range(50) for _, _, expected in questions(seed)]
    assert 0.2 < sum(answers) / len(answers) < 0.9


def test_numbers_that_do_not_fit_are_an_error() -> None:
    problem, (cell, prompt, read, sets, output, left, ended), _ = next(questions(3))
    for wrong in (
        (cell, prompt, read, sets[:-1], output, left, ended),
        (cell, prompt, 4, sets, output, left, ended),
        (cell, prompt, read, sets, output, problem.steps + 1, ended),
        (cell, prompt, read, sets, output, -1, ended),
        (cell, [*prompt, 0], read, sets, output, left, ended),
        (cell, prompt, read, sets, [*output, 0], left, ended),
    ):
        with pytest.raises(ValueError, match=r"slots|zip"):
            Outlook(problem).can_still_happen(*wrong)


def test_a_formula_may_hold_and_may_fail_at_once() -> None:
    problem = next(questions(1))[0]
    every = {i: frozenset(m.labels) for i, m in enumerate(problem.machines)}
    assert may_hold(problem.catastrophe, every) or may_hold(problem.catastrophe, every, False)
