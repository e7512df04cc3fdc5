"""Trains the network plainly and writes ``plain_8.pt`` and ``plain_8.onnx``.

    python examples/plain/train.py

Cross-entropy on random texts and weight decay of the matrices, nothing else: no bound is computed.
Two minutes on one core. Another machine's torch may round differently
and give other weights, which is why the model is kept in the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from model import CAP, LENGTH, OBSERVATIONS, SEVERITY, SLOTS, STATES, TOKEN, Decoder

sys.path.append(str(Path(__file__).parents[1]))

from exporting import to_onnx

RATE, DECAY, TEXTS, STEPS, WARM_UP = 3e-3, 0.5, 64, 3_000, 100


def texts(count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Random observations and states, (count, LENGTH), and what follows, (count, SLOTS + 1).

    The states are drawn without regard to the observations before them: only the last one counts.
    """
    seen = rng.integers(len(OBSERVATIONS), size=(count, SLOTS))
    states = rng.integers(CAP + 1, size=(count, SLOTS))
    before = np.concatenate([np.zeros((count, 1), dtype=np.int64), states[:, :-1]], axis=1)
    after = np.minimum(CAP, before + np.array(SEVERITY)[seen])
    verdicts = np.where(states[:, -1:] == CAP, TOKEN["ALERT"], TOKEN["SAFE"])
    mark, first = np.full((count, 1), TOKEN[">"]), TOKEN[STATES[0]]
    tokens = np.concatenate([seen, mark, first + states], axis=1)
    return torch.from_numpy(tokens), torch.from_numpy(
        np.concatenate([first + after, verdicts], axis=1)
    )


def train(seed: int = 0) -> Decoder:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model, rng = Decoder(), np.random.default_rng(seed)
    matrices = [m.weight for m in model.modules() if isinstance(m, torch.nn.Linear)]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=RATE, weight_decay=DECAY)
    for step in range(STEPS):
        rate = RATE * min(1.0, (step + 1) / WARM_UP) * (1 - step / STEPS)
        for group in optimiser.param_groups:
            group["lr"] = rate
        tokens, targets = texts(TEXTS, rng)
        logits = model(tokens)[:, SLOTS:]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 200 == 0:
            print(f"step {step:5d}  loss {loss.item():.5f}", flush=True)
    tokens, targets = texts(20_000, rng)
    with torch.no_grad():
        right = (model(tokens)[:, SLOTS:].argmax(dim=2) == targets).all(dim=1)
    print(f"loss {loss.item():.2e}; {int(right.sum())} of {len(right)} random texts right")
    return model


if __name__ == "__main__":
    network = train()
    torch.save(network.state_dict(), Path(__file__).with_name("plain_8.pt"))
    onnx.save(to_onnx(network, LENGTH), Path(__file__).with_name("plain_8.onnx"))
