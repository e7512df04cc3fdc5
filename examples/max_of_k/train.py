"""Trains the max-of-K transformers; writes ``max_of_K.npz`` and ``max_of_K.onnx`` beside this file.

    python examples/max_of_k/train.py 4 5 10

Plain cross-entropy: nothing here knows of bounds. Half of each batch is uniform over all texts, the
other half has tokens close below the maximum, where the task is hard. One to three minutes a model
on one core. Another machine's torch may round differently and give other weights, which is why the
models are kept in the repository.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from model import LENGTHS, VOCABULARY, WIDTH, MaxOfK, weights_file
from torch import Tensor

STEPS = 8_000
BATCH = 512
RATE = 1e-2


def answers(model: MaxOfK, tokens: Tensor) -> Tensor:
    """Row K - 1 of ``model(tokens)``, without computing the others: (batch, 64)."""
    x = model.embedding[tokens] + model.position
    last = x[:, -1]
    scores = torch.einsum("bd,bkd->bk", last @ model.query, x @ model.key) / WIDTH**0.5
    mixed = torch.einsum("bk,bkd->bd", scores.softmax(-1), x @ model.value)
    logits: Tensor = (last + mixed @ model.output) @ model.unembedding
    return logits


def sample(length: int, count: int, rng: torch.Generator) -> Tensor:
    """Texts (count, length): half uniform, half close below a uniform maximum."""
    half = count // 2
    uniform = torch.randint(0, VOCABULARY, (half, length), generator=rng)
    top = torch.randint(0, VOCABULARY, (count - half, 1), generator=rng)
    reach = torch.randint(1, VOCABULARY + 1, (count - half, 1), generator=rng)
    below = (torch.rand((count - half, length), generator=rng) * reach).long()
    return torch.cat([uniform, (top - below).clamp(min=0)])


def accuracy(model: MaxOfK, length: int, count: int, seed: int) -> float:
    """The share of ``count`` uniform texts that are answered correctly."""
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, VOCABULARY, (count, length), generator=rng)
    with torch.no_grad():
        right = answers(model, tokens).argmax(1) == tokens.amax(1)
    return right.float().mean().item()


def train(length: int, steps: int = STEPS, seed: int = 0) -> MaxOfK:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(seed)
    model = MaxOfK(length)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=steps, pct_start=0.1
    )
    for step in range(steps):
        tokens = sample(length, BATCH, rng)
        loss = torch.nn.functional.cross_entropy(answers(model, tokens), tokens.amax(1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 1_000 == 0:
            print(f"K = {length}  step {step:5d}  loss {loss.item():.5f}", flush=True)
    return model


def save(model: MaxOfK, length: int) -> None:
    state = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    np.savez_compressed(weights_file(length), **state)
    export(model, length, weights_file(length).with_suffix(".onnx"))


def export(model: MaxOfK, length: int, path: Path) -> None:
    """``tokens`` (1, K) int64 to ``logits`` (1, K, 64)."""
    program = torch.onnx.export(
        model.eval(),
        (torch.zeros((1, length), dtype=torch.int64),),
        input_names=["tokens"],
        output_names=["logits"],
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info):
        part.ClearField("metadata_props")  # the exporter leaves this machine's paths there
    for port in (*proto.graph.input, *proto.graph.output):
        port.ClearField("metadata_props")
    onnx.save(proto, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("lengths", type=int, nargs="*", default=list(LENGTHS))
    for length in parser.parse_args().lengths:
        model = train(length)
        save(model, length)
        share = accuracy(model, length, 1_000_000, seed=1)
        print(f"K = {length}  right on {share:.4%} of a million uniform texts", flush=True)
