"""What a decoder computes in float32, in whatever way, lies within the checker's bounds.

Executions are of the network as written, over whole sequences, or of its decode graph, of which
the bounds are.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoders import Decoder, last_rows, problem
from executions import Execution
from numpy.typing import NDArray
from onnxdecoders import OnnxDecoder

from absint.decode.task import DecodeTask, load
from absint.ir.blocks import unroll
from absint.problem.decode import DecodeProblem
from absint.problem.problem import Semantics
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.run import Run
from absint.proofs.decode.sharing import Sharing
from absint.proofs.decode.state import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MODELS = {
    "plain": Decoder(),
    "layer norm": Decoder(norm="layer", activation="gelu"),
    "two layers, rms norm": Decoder(layers=2, norm="rms", seed=1),
    "two layers": Decoder(layers=2, seed=2),
    "attention only": Decoder(activation=""),
    "grouped queries": Decoder(heads=6, kv_heads=3),
    "rotary": Decoder(rope=True, norm="rms"),
    "swiglu": Decoder(activation="swiglu", norm="rms", rope=True, kv_heads=1),
    "scaled twice": Decoder(scaled="both"),
    "a factor for each head": Decoder(scaled="heads"),
}
SLOTS, PROMPT = 6, 4
STEPS = SLOTS - PROMPT + 1
FLOAT32 = Semantics("float32")


def balls(bounds: StepBounds, texts: Ints) -> list[tuple[Floats, Floats]]:
    """Ends (texts, tokens) of each step's logits, as single texts are followed."""
    runs = bounds.runs
    run = Run(runs._floats.steps, Sharing(runs._slots, texts))
    logits = [run.logits(step) for step in range(bounds.problem.steps)]
    return [(centre - radius, centre + radius) for centre, radius in logits]


def states(texts: Ints, step: int, rng: np.random.Generator, size: int) -> list[State]:
    """States that hold a text each, with a few tokens more in some slots."""
    found = []
    for text in texts:
        own = [1 << int(token) for token in text[: PROMPT + step]]
        for slot in range(len(own)):
            if rng.random() < 0.3:
                own[slot] |= int(rng.integers(1 << size))
        found.append(State(tuple(own), 0, (), (0,), False))
    return found


def held(model: Decoder, draws: int, seed: int = 0, texts: int = 8) -> int:
    """How many logits of drawn executions were held against both kinds of bounds."""
    rng, size, count = np.random.default_rng(seed), model.vocabulary, 0
    graph = model.graph(SLOTS)
    block = unroll(graph, last_rows(graph, STEPS))
    asked: DecodeProblem = problem(size, PROMPT, STEPS, semantics=FLOAT32)
    bounds = StepBounds(asked, block, PROMPT)
    drawn = rng.integers(size, size=(texts, SLOTS))
    ends, rows = balls(bounds, drawn), rng.integers(-2, 3, (1, 6, size)).astype(np.float64)
    least = [bounds.margins(states(drawn, t, rng, size)).least(rows) for t in range(STEPS)]
    for draw in range(draws):
        x = drawn.astype(np.float64)
        if draw % 2:  # attention as one op, in blocks of keys perhaps
            values = Execution(rng).run(block, x)
            each = [values[port.node] for port in block.outputs]
        else:
            values = Execution(rng).run(graph, x)
            logits = values[graph.outputs[0].node].reshape((texts, SLOTS, size))
            each = [logits[:, PROMPT - 1 + step] for step in range(STEPS)]
        for step, y in enumerate(each):
            known = ~np.isnan(ends[step][0]).any(axis=1)
            assert (ends[step][0] <= y)[known].all()
            assert (y <= ends[step][1])[known].all()
            assert (least[step] <= y @ rows[0].T + 1e-12 * np.abs(y).sum()).all()
            count += int(known.sum()) * size + int(np.isfinite(least[step]).sum())
    return count


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name].layers == 1])
def test_drawn_executions_are_inside(name: str) -> None:
    assert held(MODELS[name], 4, texts=4) > 150


@pytest.mark.full
@pytest.mark.parametrize("name", MODELS)
def test_many_drawn_executions_are_inside(name: str) -> None:
    count = sum(held(MODELS[name], 50, seed) for seed in range(4))
    print(name, count, "logits")
    assert count > 30_000


def runtime_held(task: DecodeTask, count: int) -> int:
    """How many logits of onnxruntime, for random texts, were held against those of single texts."""
    asked, ((prompt, graph),) = task.spec.problems[0], task.graphs.items()
    bounds, rng = StepBounds(asked, graph, prompt), np.random.default_rng(0)
    slots = [sorted(slot) for slot in asked.cells[0].slots]
    every = [list(range(len(asked.vocabulary)))] * (len(graph.inputs) - prompt)
    texts = np.array([[rng.choice(own) for own in (*slots, *every)] for _ in range(count)])
    runner, ends = task.runner, balls(bounds, texts)
    for step in range(asked.steps):
        y = np.array(
            [runner.numbers(task.caller, text[: prompt + step]) for text in texts.tolist()]
        )
        assert (ends[step][0] <= y).all()
        assert (y <= ends[step][1]).all()
    return int(count * asked.steps * len(asked.vocabulary))


@pytest.mark.parametrize("length", [None, 6])
def test_onnxruntime_is_inside(length: int | None, tmp_path: Path) -> None:
    spec = "decode:\n  vocabulary: [a, b, c, X, Y, END]\n  steps: 3\n  prompt: '[a..END]{3}'\n"
    spec += "  network: {length: 6, pad: a}\n" if length else ""
    (tmp_path / "spec.yaml").write_text(spec + "never: {output: {contains: END}}\n")
    OnnxDecoder(length).save(tmp_path / "model.onnx")
    assert runtime_held(load(tmp_path / "model.onnx", tmp_path / "spec.yaml"), 10) == 180


EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.full
@pytest.mark.parametrize(
    ("model", "spec"),
    [
        ("monitor/monitor_8.onnx", "monitor/safe_8.yaml"),
        ("misled/misled.onnx", "misled/safe.yaml"),
        ("max_of_k/max_of_4.onnx", "max_of_k/max_of_4.yaml"),
        ("plain/plain_8.onnx", "plain/safe.yaml"),
    ],
)
def test_the_examples_on_onnxruntime_are_inside(model: str, spec: str) -> None:
    print(model, runtime_held(load(EXAMPLES / model, EXAMPLES / spec), 1000), "logits")


def monitor() -> Any:
    """The trained PyTorch module of examples/monitor, for 8 observations."""
    place = importlib.util.spec_from_file_location("monitor", EXAMPLES / "monitor" / "model.py")
    assert place is not None
    assert place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module.monitor(8)


def kept(model: Any, texts: Any) -> Any:
    """The logits after each token with keys and values kept from the call that read it last."""
    import torch

    heads, size = model.heads, model.key.weight.shape[0] // model.heads
    keys, values, found = [], [], []
    for place in range(texts.shape[1]):
        x = model.tokens(texts[:, place]) + model.positions[place]
        q, k, v = (
            part(x).reshape(-1, heads, size) for part in (model.query, model.key, model.value)
        )
        keys.append(k)
        values.append(v)
        scores = torch.einsum("bhd,bmhd->bhm", q, torch.stack(keys, dim=1)) * size**-0.5
        shares = torch.softmax(scores, dim=-1)
        mixed = torch.einsum("bhm,bmhd->bhd", shares, torch.stack(values, dim=1))
        x = x + model.out(mixed.reshape(len(x), -1))
        found.append(model.logits(x + model.down(torch.relu(model.up(x)))))
    return torch.stack(found, dim=1)


@pytest.mark.parametrize("count", [20, pytest.param(5000, marks=pytest.mark.full)])
def test_pytorch_is_inside(count: int) -> None:
    """All texts at once, each longer call on its own, and with keys and values kept."""
    import torch

    task = load(EXAMPLES / "monitor/monitor_8.onnx", EXAMPLES / "monitor/safe_8.yaml")
    asked, ((prompt, graph),) = task.spec.problems[0], task.graphs.items()
    texts = np.random.default_rng(1).integers(
        len(asked.vocabulary), size=(count, len(graph.inputs))
    )
    bounds, model = StepBounds(asked, graph, prompt), monitor()
    with torch.no_grad():
        tokens = torch.from_numpy(texts)
        ways = [model(tokens), kept(model, tokens)]
        shorter = [model(tokens[:, : prompt + step])[:, -1] for step in range(asked.steps)]
        ways.append(torch.stack([ways[0][:, 0]] * (prompt - 1) + shorter, dim=1))
    for begin in range(0, count, 256):
        some = slice(begin, begin + 256)
        for step, (lower, upper) in enumerate(balls(bounds, texts[some])):
            for way in ways:
                y = way[some, prompt - 1 + step].numpy().astype(np.float64)
                assert (lower <= y).all()
                assert (y <= upper).all()


def test_real_bounds_do_not_hold_them() -> None:
    """Nothing is so wide by chance: without the contract, most single texts leave their bounds."""
    model, rng = Decoder(norm="rms"), np.random.default_rng(3)
    graph = model.graph(SLOTS)
    bounds = StepBounds(problem(7, PROMPT, STEPS), unroll(graph, last_rows(graph, STEPS)), PROMPT)
    texts = rng.integers(7, size=(20, SLOTS))
    values = Execution(rng).run(graph, texts.astype(np.float64))
    y = values[graph.outputs[0].node].reshape((len(texts), SLOTS, 7))[:, -1]
    lower, upper = balls(bounds, texts)[-1]
    assert ((y < lower) | (upper < y)).any(axis=1).all()
