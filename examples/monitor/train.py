"""Trains the monitor of N observations and writes ``monitor_N.pt`` and ``monitor_N.onnx``.

    python examples/monitor/train.py 16

First plainly, on random texts, then with bounds over token sets (``absint.train``): at each step of
the chain of thought, the observation that is read and the last state are known and everything else
is any token that may stand there. Two to ten minutes on one core. Another machine's torch may round
differently and give other weights, which is why the models are kept in the repository.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from model import CAP, OBSERVATIONS, SEVERITY, STATES, TOKEN, VOCABULARY, Decoder, length
from numpy.typing import NDArray

from absint.frontends.torch import lower_module
from absint.ir import Graph
from absint.ir.blocks import unroll
from absint.train import Cases, Ramp, TokenLoss, fit, share_certified

FIRST_STATE = TOKEN["S0"]
PLAIN = {"rate": 3e-3, "texts": 32, "most": 4_000, "goal": 2e-3}
STEPS, RAMP = 1_000, Ramp(50, 600)
CHECK = 100
"""Steps of certified training between two counts of the certified cases."""


def verdict(state: int) -> int:
    return TOKEN["ALERT"] if state == CAP else TOKEN["SAFE"]


def read(state: int, observation: int) -> int:
    """The state after an observation."""
    return min(CAP, state + SEVERITY[observation])


def cases_of(observations: int) -> list[Cases]:
    """Every step's cases: last state x observation that is read; all else is any token."""
    count, width = length(observations), len(VOCABULARY)
    free = np.zeros((count, width), dtype=bool)
    free[:observations, : len(OBSERVATIONS)] = True
    free[observations, TOKEN[">"]] = True
    free[observations + 1 :, FIRST_STATE : FIRST_STATE + len(STATES)] = True
    return [cases_at(step, observations, free) for step in range(1, observations + 2)]


def cases_at(step: int, observations: int, free: NDArray[np.bool_]) -> Cases:
    """The cases of step ``step`` (from 1); the last step gives the verdict and reads nothing."""
    query = observations + step - 1
    allowed, targets = [], []
    for state in range(len(STATES)) if step > 1 else [0]:
        for observation in range(len(OBSERVATIONS)) if step <= observations else [None]:
            sets = free.copy()
            if step > 1:
                sets[query] = np.arange(len(VOCABULARY)) == FIRST_STATE + state
            if observation is None:
                targets.append(verdict(state))
            else:
                sets[step - 1] = np.arange(len(VOCABULARY)) == observation
                targets.append(FIRST_STATE + read(state, observation))
            allowed.append(sets)
    return Cases(f"logits_{step}", np.array(allowed), np.array(targets))


def lower(observations: int, module: torch.nn.Module) -> Graph:
    """The block graph with an output ``logits_t`` for each step."""
    graph = lower_module(module, (torch.zeros(1, length(observations), dtype=torch.int64),))
    width = len(VOCABULARY)
    rows = {
        f"logits_{step}": (observations + step - 1) * width + np.arange(width)
        for step in range(1, observations + 2)
    }
    return unroll(graph, rows)


def texts(observations: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random observations and random states, and what follows each state: (count, ...) tokens.

    The states are drawn without regard to the observations before them: only the last counts.
    """
    seen = torch.randint(len(OBSERVATIONS), (count, observations))
    states = torch.randint(len(STATES), (count, observations))
    mark = torch.full((count, 1), TOKEN[">"])
    before = torch.cat([torch.zeros(count, 1, dtype=torch.int64), states], dim=1)
    after = (before[:, :-1] + torch.tensor(SEVERITY)[seen]).clamp(max=CAP) + FIRST_STATE
    last = torch.tensor([verdict(state) for state in range(len(STATES))])[states[:, -1:]]
    return torch.cat([seen, mark, states + FIRST_STATE], dim=1), torch.cat([after, last], dim=1)


def train_plainly(model: Decoder, observations: int) -> None:
    """Cross-entropy on random texts, at all steps at once, until it is small."""
    optimiser = torch.optim.Adam(model.parameters(), lr=PLAIN["rate"])
    average = 1.0
    for step in range(int(PLAIN["most"])):
        for group in optimiser.param_groups:
            group["lr"] = PLAIN["rate"] * min(1.0, (step + 1) / 100)
        tokens, targets = texts(observations, int(PLAIN["texts"]))
        logits = model(tokens)[:, observations:]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average += (loss.item() - average) / 20
        if average < PLAIN["goal"]:
            break
    print(f"plain training: {step + 1} steps, loss {average:.4f}")


def train(observations: int, seed: int = 0) -> Decoder:
    """The trained monitor; prints how many cases its bounds decide on the way."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = Decoder(len(VOCABULARY), length(observations))
    train_plainly(model, observations)
    cases = cases_of(observations)
    loss = TokenLoss(model, lambda module: lower(observations, module))
    begin = time.perf_counter()

    def watch(step: int, value: float) -> bool:
        if step % CHECK:
            return False
        share = share_certified(loss, cases)
        print(f"step {step:5d}  {time.perf_counter() - begin:5.0f} s  ", end="")
        print(f"loss {value:.4f}  certified {share:.2%}", flush=True)
        return step >= RAMP.end and share == 1.0

    fit(loss, cases, STEPS, RAMP, seed=seed, watch=watch)
    return model


def to_onnx(model: Decoder, tokens: int) -> onnx.ModelProto:
    """``tokens`` (1, m) to ``logits`` (1, m, vocabulary), without notes on where it was exported."""
    example = (torch.zeros(1, tokens, dtype=torch.int64),)
    program = torch.onnx.export(
        model.eval(),
        example,
        dynamo=True,
        opset_version=20,
        input_names=["tokens"],
        output_names=["logits"],
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    graph = proto.graph
    for item in (proto, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        item.ClearField("metadata_props")
    for node in (*graph.node, *graph.initializer):
        node.ClearField("doc_string")
    onnx.checker.check_model(proto, full_check=True)
    return proto


if __name__ == "__main__":
    size = int(sys.argv[1])
    trained = train(size)
    torch.save(trained.state_dict(), Path(__file__).with_name(f"monitor_{size}.pt"))
    onnx.save(to_onnx(trained, length(size)), Path(__file__).with_name(f"monitor_{size}.onnx"))
