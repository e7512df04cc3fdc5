"""A writer and a detector as ONNX files with a spec, and what onnxruntime says of both."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxdecoders import VOCABULARY, OnnxDecoder, Session

from absint.decode.task import DecodeTask, load
from absint.ir.graph import FloatArray

SIZE, PROMPT, STEPS, WIDTH = len(VOCABULARY), 3, 3, 2
STOP = [0, 4]
CALLS = {
    "any length": (None, ""),
    "padded on the right": (7, ", length: 7, pad: END"),
    "padded on the left": (8, ", length: 8, pad: b, side: left"),
}
PADDING = {
    "any length": (0, 0, 0),
    "padded on the right": (0, 5, 7),
    "padded on the left": (8, 1, 0),
}
"""To how many tokens the padding fills a text up on the left, its token, and on the right."""


def made(
    folder: Path, call: str, never: str = "alarm > 0", seed: int = 0, other: int = 100
) -> DecodeTask:
    """A writer of open length and a detector that is not causal, with one row of two values."""
    length, words = CALLS[call]
    detector = OnnxDecoder(length, causal=False, last=True, seed=other, vocabulary=SIZE)
    narrowed(detector, folder / "alarm.onnx")
    lines = [
        "decode:",
        f"  vocabulary: [{', '.join(VOCABULARY)}]",
        f"  detector: {{model: alarm.onnx, outputs: [alarm, calm]{words}}}",
        "  prompt: '[a b c]{3}'",
        f"  steps: {STEPS}",
        f"  stop: [{', '.join(VOCABULARY[t] for t in STOP)}]",
        f"never: {{detector: {never}}}",
    ]
    (folder / "spec.yaml").write_text("\n".join(lines) + "\n")
    return load(OnnxDecoder(seed=seed).save(folder / "model.onnx"), folder / "spec.yaml")


def narrowed(decoder: OnnxDecoder, path: Path) -> None:
    """The decoder's file with its first two logits only."""
    proto = decoder.proto()
    (table,) = (one for one in proto.graph.initializer if one.name == "wo")
    table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table)[:, :WIDTH].copy(), "wo"))
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = WIDTH
    onnx.save(proto, path)


def said(session: Session, call: str, text: list[int]) -> FloatArray:
    """What onnxruntime gives for a text, filled up as the spec says."""
    left, pad, right = PADDING[call]
    padded = [pad] * max(0, left - len(text)) + text + [pad] * max(0, right - len(text))
    return session.logits(padded).reshape(-1).astype(np.float64)


def values(folder: Path, call: str) -> list[FloatArray]:
    """What the detector gives, (WIDTH,), for each text that the writer finishes."""
    writer, detector = Session(folder / "model.onnx"), Session(folder / "alarm.onnx")
    prompts = itertools.product(range(3), repeat=PROMPT)
    texts = [[*prompt, *writer.write(prompt, STEPS, STOP)] for prompt in prompts]
    return [said(detector, call, text) for text in texts]
