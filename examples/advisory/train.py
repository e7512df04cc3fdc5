"""Trains the advisory controller and writes ``advisory.onnx`` beside this file.

    python examples/advisory/train.py

A small aircraft sees another one ahead of it and a network advises the pilot. The network imitates
``policy``, the rule that the designers would have liked to fly, which predicts where both aircraft
will be if nobody turns. Half a minute on one core. Another machine's torch may round differently
and give other weights, which is why the model is kept in the repository: the specs speak of it.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float64]

INPUTS = ("range", "bearing", "heading", "own_speed", "intruder_speed")
LOWER = np.array([100.0, -1.6, 0.0, 20.0, 20.0])
UPPER = np.array([2500.0, 1.6, 6.3, 60.0, 60.0])
"""What the sensor reports: metres, radians (left of our nose is positive), radians from our own
heading (so 3.14 is head-on), metres a second."""

ADVISORIES = ("CLEAR", "WEAK_LEFT", "WEAK_RIGHT", "STRONG_LEFT", "STRONG_RIGHT")
PROTECTED = 250.0
"""An aircraft that would pass closer than this many metres is a threat."""
HORIZON = 30.0
"""Seconds that the policy looks ahead."""
URGENT = 12.0
"""Below this many seconds to the closest approach, the advice is strong."""

HIDDEN = (32, 32, 32)
SAMPLES = 200_000
STEPS = 6_000
BATCH = 1_024


def closest_approach(state: Array) -> tuple[Array, Array, Array]:
    """Seconds until both aircraft are closest, the distance then, and how far to our left.

    ``state``: (n, 5) in the order of INPUTS. Three arrays (n,), for straight flight from now.
    """
    distance, bearing, heading, own, intruder = state.T
    x, y = distance * np.cos(bearing), distance * np.sin(bearing)
    u, v = intruder * np.cos(heading) - own, intruder * np.sin(heading)
    time = np.clip(-(x * u + y * v) / np.maximum(u * u + v * v, 1e-9), 0.0, HORIZON)
    left = y + v * time
    return time, np.hypot(x + u * time, left), left


def policy(state: Array) -> NDArray[np.int64]:
    """The advisory, an index into ADVISORIES, for each row of ``state``: (n, 5) to (n,)."""
    time, miss, left = closest_approach(state)
    strong = np.where(left > 0, 4, 3)
    weak = np.where(left > 0, 2, 1)
    return np.where(miss >= PROTECTED, 0, np.where(time < URGENT, strong, weak))


def sample(rng: np.random.Generator, count: int) -> Array:
    """States (count, 5): uniform, but half of them where the policy does not say CLEAR."""
    states = rng.uniform(LOWER, UPPER, (count * 8, len(INPUTS)))
    threat = policy(states) != 0
    return np.concatenate([states[threat][: count // 2], states[~threat][: count // 2]])


def network() -> torch.nn.Sequential:
    """The multi-layer perceptron, on inputs that are already normalised to [-1, 1]."""
    sizes = (len(INPUTS), *HIDDEN)
    layers: list[torch.nn.Module] = []
    for i, j in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(i, j), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], len(ADVISORIES)))


def normalisation() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``offset`` and ``scale``, (5,) each: the network begins with ``(x - offset) * scale``."""
    offset, scale = (LOWER + UPPER) / 2, 2 / (UPPER - LOWER)
    return offset.astype(np.float32), scale.astype(np.float32)


def train(seed: int = 0) -> torch.nn.Sequential:
    """Imitates the policy by cross-entropy; prints how often they agree on fresh states."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    offset, scale = normalisation()
    states = sample(rng, SAMPLES)
    inputs = torch.from_numpy((states.astype(np.float32) - offset) * scale)
    labels = torch.from_numpy(policy(states))
    model = network()
    optimiser = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for step in range(STEPS):
        rows = torch.from_numpy(rng.integers(0, len(labels), BATCH))
        loss = torch.nn.functional.cross_entropy(model(inputs[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 1_000 == 0:
            print(f"step {step:5d}  loss {loss.item():.4f}")
    fresh = rng.uniform(LOWER, UPPER, (100_000, len(INPUTS)))
    scores = model(torch.from_numpy((fresh.astype(np.float32) - offset) * scale))
    agree = (scores.argmax(1).numpy() == policy(fresh)).mean()
    print(f"agrees with the policy on {agree:.2%} of fresh states")
    return model


def to_onnx(model: torch.nn.Sequential) -> onnx.ModelProto:
    """``state`` (batch, 5) to ``advisory`` (batch, 5), normalisation included."""
    offset, scale = normalisation()
    constants = {"offset": offset, "scale": scale}
    nodes = [
        helper.make_node("Sub", ["state", "offset"], ["centred"], "centre"),
        helper.make_node("Mul", ["centred", "scale"], ["hidden_0"], "normalise"),
    ]
    linear = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    for i, layer in enumerate(linear, start=1):
        last = i == len(linear)
        constants[f"weight_{i}"] = layer.weight.detach().numpy()
        constants[f"bias_{i}"] = layer.bias.detach().numpy()
        inputs = [f"hidden_{i - 1}", f"weight_{i}", f"bias_{i}"]
        output = "advisory" if last else f"sum_{i}"
        nodes.append(helper.make_node("Gemm", inputs, [output], f"layer_{i}", transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [output], [f"hidden_{i}"], f"relu_{i}"))
    graph = helper.make_graph(
        nodes,
        "advisory",
        [helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", len(INPUTS)])],
        [helper.make_tensor_value_info("advisory", TensorProto.FLOAT, ["batch", len(ADVISORIES)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="absint"
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


if __name__ == "__main__":
    onnx.save(to_onnx(train()), Path(__file__).with_name("advisory.onnx"))
