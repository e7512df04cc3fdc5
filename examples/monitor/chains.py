"""Chains of thought that are state machines: their cases, their texts, and the training of both.

A prompt is N signs and the mark ``>``. The network then writes the machine's state after each sign,
and closing words after that. Shared by the examples ``monitor`` and ``misled``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from model import Decoder
from numpy.typing import NDArray

from absint.frontends.torch import lower_module
from absint.ir import Graph
from absint.ir.blocks import unroll
from absint.train import Cases, Ramp, TokenLoss, fit, share_certified

RATE, TEXTS, MOST, GOAL = 3e-3, 32, 4_000, 2e-3
"""Plain training: learning rate, texts a step, the most steps, the loss at which it ends."""
STEPS, RAMP = 900, Ramp(50, 450)
CHECK = 100
"""Steps of certified training between two counts of the certified cases."""


@dataclass(frozen=True)
class Task:
    """A machine over tokens; tokens are indices into ``vocabulary``.

    ``signs`` may stand in a prompt, ended by ``mark``, after which the machine is in state
    ``start``; ``after[state][sign]`` is the next state. When all signs are read, ``closing`` says
    for each further step what follows each token that can be the last one.
    """

    vocabulary: Sequence[str]
    signs: Sequence[int]
    mark: int
    start: int
    after: Mapping[int, Mapping[int, int]]
    closing: Sequence[Mapping[int, int]]

    def kinds(self) -> list[list[int]]:
        """The signs, those together that move every state alike."""
        found: dict[tuple[int, ...], list[int]] = {}
        for sign in self.signs:
            found.setdefault(tuple(row[sign] for row in self.after.values()), []).append(sign)
        return list(found.values())

    def length(self, signs: int) -> int:
        """The most tokens that the network reads before it writes its last one."""
        return 2 * signs + len(self.closing)

    def steps(self, signs: int) -> int:
        return signs + len(self.closing)


def cases_of(task: Task, signs: int) -> list[Cases]:
    """Every step's cases: last token x kind of sign that is read; all else is any token."""
    free = np.zeros((task.length(signs), len(task.vocabulary)), dtype=bool)
    free[:signs, task.signs] = True
    free[signs, task.mark] = True
    free[signs + 1 : 2 * signs + 1, list(task.after)] = True
    for place, words in enumerate(task.closing[1:], start=2 * signs + 1):
        free[place, list(words)] = True
    read = [_reading(task, signs, step, free) for step in range(1, signs + 1)]
    closed = [_closing(task, signs, step, free) for step in range(signs + 1, task.steps(signs) + 1)]
    return read + closed


def _reading(task: Task, signs: int, step: int, free: NDArray[np.bool_]) -> Cases:
    """The cases of a step (from 1) that reads a sign."""
    lasts = {task.mark: task.start} if step == 1 else {state: state for state in task.after}
    pairs = [(last, kind) for last in lasts for kind in task.kinds()]
    allowed = np.repeat(free[None], len(pairs), axis=0)
    allowed[:, [signs + step - 1, step - 1]] = False
    for case, (last, kind) in enumerate(pairs):
        allowed[case, signs + step - 1, last] = True
        allowed[case, step - 1, kind] = True
    targets = [task.after[lasts[last]][kind[0]] for last, kind in pairs]
    return Cases(f"logits_{step}", allowed, np.array(targets))


def _closing(task: Task, signs: int, step: int, free: NDArray[np.bool_]) -> Cases:
    """The cases of a step after the last sign."""
    words = task.closing[step - signs - 1]
    allowed = np.repeat(free[None], len(words), axis=0)
    allowed[:, signs + step - 1] = False
    for case, last in enumerate(words):
        allowed[case, signs + step - 1, last] = True
    return Cases(f"logits_{step}", allowed, np.array(list(words.values())))


def texts(
    task: Task, signs: int, count: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random signs and random states, and what follows each state: tokens (count, ...).

    The states are drawn without regard to the signs before them: only the last one counts.
    """
    seen = rng.choice(task.signs, (count, signs))
    states = rng.choice(list(task.after), (count, signs))
    before = np.concatenate([np.full((count, 1), task.start), states[:, :-1]], axis=1)
    follow = [np.vectorize(lambda state, sign: task.after[state][sign])(before, seen)]
    written = [states]
    for place, words in enumerate(task.closing):
        last = states[:, -1:] if place == 0 else rng.choice(list(words), (count, 1))
        written += [last] if place else []
        follow.append(np.vectorize(words.__getitem__)(last))
    tokens = [seen, np.full((count, 1), task.mark), *written]
    texts, answers = (torch.from_numpy(np.concatenate(p, axis=1)) for p in (tokens, follow))
    return texts, answers


def train_plainly(model: Decoder, task: Task, signs: int, rng: np.random.Generator) -> None:
    """Cross-entropy on random texts, at all steps at once, until it is small."""
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    average = 1.0
    for step in range(MOST):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 100)
        tokens, targets = texts(task, signs, TEXTS, rng)
        logits = model(tokens)[:, signs:]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average += (loss.item() - average) / 20
        if average < GOAL:
            break
    print(f"plain training: {step + 1} steps, loss {average:.4f}")


def lower(task: Task, signs: int, module: torch.nn.Module) -> Graph:
    """The block graph with an output ``logits_t`` for each step."""
    example = (torch.zeros(1, task.length(signs), dtype=torch.int64),)
    width = len(task.vocabulary)
    rows = {
        f"logits_{step}": (signs + step - 1) * width + np.arange(width)
        for step in range(1, task.steps(signs) + 1)
    }
    return unroll(lower_module(module, example), rows)


def train(task: Task, signs: int, seed: int = 0) -> Decoder:
    """A trained network; prints how many cases the bounds decide on the way."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = Decoder(len(task.vocabulary), task.length(signs))
    begin = time.perf_counter()
    train_plainly(model, task, signs, np.random.default_rng(seed))
    cases = cases_of(task, signs)
    loss = TokenLoss(model, lambda module: lower(task, signs, module))

    def watch(step: int, value: float) -> bool:
        if step % CHECK == 0 or step == STEPS - 1:
            share = share_certified(loss, cases)
            print(f"step {step:5d}  {time.perf_counter() - begin:5.0f} s  ", end="")
            print(f"loss {value:.4f}  certified {share:.2%}", flush=True)
        return False

    fit(loss, cases, STEPS, RAMP, seed=seed, watch=watch)
    return model
