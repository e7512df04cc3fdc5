"""Zonotopes against intervals and backward linear bounds (CROWN): widths and CPU time."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.domains import interval
from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.domains.linear import backward
from absint.domains.product import Query, _Propagation, analyse
from absint.domains.zonotope import Zonotopes
from absint.frontends.onnx import load
from absint.frontends.vnnlib.reader import read_problem
from absint.ir import Graph, Node
from benchmarks.measure import ROOT, conditions
from benchmarks.vnncomp import SETS, instances

CHOSEN = {"acasxu": 6, "mnist_fc": 6, "safenlp": 4, "sri_resnet_a": 1, "vit": 1}
"""Of how many instances of each set, evenly spaced in its list."""
NOTES = [
    "*Both*: CROWN whose intermediate bounds start from the zonotopes' instead of the intervals'.",
    "On these boxes of ACAS Xu that is 3 to 23 % narrower, elsewhere next to nothing, and takes",
    "up to four times as long. The checker bounds intermediate neurons by intervals and backward",
    "bounds alone, so a leaf that needs a zonotope's bound would be refused. Zonotopes are so",
    "not part of the search. What they are good for: convolutional networks, where they know many",
    "neurons' signs beforehand, and attention, of which intervals know next to nothing.",
]
Box = tuple[Any, Any]
Width = NDArray[np.float64]


def by_intervals(graph: Graph, box: Box, arrays: Arrays) -> Width:
    places, found = graph.input_slices(), list[interval.Interval]()
    for place, node in enumerate(graph.nodes):
        if node.op == "input":
            low, high = (end[:, places[place]].reshape((-1, *node.shape)) for end in box)
            found.append((low, high))
        else:
            found.append(interval.transform(node, [found[i] for i in node.inputs], arrays))
    return _widths(graph, found, arrays)


def by_zonotopes(graph: Graph, box: Box, arrays: Arrays) -> Width:
    return _widths(graph, Zonotopes(graph, box, arrays).bounds, arrays)


def by_lines(graph: Graph, box: Box, arrays: Arrays) -> Width:
    count = graph.output_size
    rows = np.concatenate([np.eye(count), -np.eye(count)])
    query = Query(np.zeros((2 * count, graph.input_size)), rows, np.zeros(2 * count))
    found = analyse(graph, box, query, arrays)
    radius = arrays.numpy(box[1] - box[0]) / 2
    reach = np.abs(arrays.numpy(found.coefficients)) @ radius[..., None]
    least = (arrays.numpy(found.centre) - reach[..., 0])[0]
    return np.asarray(-least[:count] - least[count:])


class _Seeded(_Propagation):
    """Backward bounds that start from the zonotopes' bounds of each node, not the intervals'."""

    def step(self, position: int, node: Node) -> None:
        if not self.bounds:
            self._seeds = Zonotopes(self.graph, self.box, self.arrays).bounds
        super().step(position, node)
        xp, (low, high) = self.arrays.xp, self.bounds[position]
        least, most = self._seeds[position]
        self.bounds[position] = xp.maximum(low, least), xp.minimum(high, most)


def by_both(graph: Graph, box: Box, arrays: Arrays) -> Width:
    known = _Seeded(graph, box, arrays, None, {}, None)
    for position, node in enumerate(graph.nodes):
        known.step(position, node)
    (port,) = graph.outputs
    rows = np.concatenate([np.eye(port.size), -np.eye(port.size)])
    start = {port.node: arrays.asarray(rows.reshape((1, -1, *port.shape)))}
    found = backward(graph, start, known.rules, known.deviations, arrays)
    least = arrays.numpy(found.minimum(box, arrays))[0]
    return np.asarray(-least[: port.size] - least[port.size :])


def _widths(graph: Graph, bounds: list[interval.Interval], arrays: Arrays) -> Width:
    parts = [arrays.numpy(bounds[p.node][1] - bounds[p.node][0]) for p in graph.outputs]
    return np.concatenate([part.reshape(-1) for part in parts])


DOMAINS: dict[str, Callable[[Graph, Box, Arrays], Width]] = {
    "interval": by_intervals,
    "zonotope": by_zonotopes,
    "CROWN": by_lines,
    "both": by_both,
}


def _region(name: str, model: str, prop: str) -> tuple[Graph, NDArray[Any], NDArray[Any]]:
    """A graph and the box of its property's first cell, (1, input_size) each."""
    graph = load(SETS / name / model).graph
    with gzip.open(SETS / name / f"{prop}.gz", "rt") as file:
        cell = read_problem(file.read(), prop, prop, graph).cells[0]
    low, high = (np.array([[float(v) for v in end]]) for end in (cell.box.lower, cell.box.upper))
    return graph, low, high


def _rows() -> Iterator[str]:
    for name, count in CHOSEN.items():
        listed = instances(name)
        for model, prop, *_ in listed[:: max(1, len(listed) // count)][:count]:
            graph, low, high = _region(name, model, prop)
            convolves = any(node.op == "conv" for node in graph.nodes)
            arrays = torch_arrays(dtype="float32") if convolves else numpy_arrays()
            box, cells = (arrays.asarray(low), arrays.asarray(high)), list[str]()
            for bound in DOMAINS.values():
                if graph.input_size < 1000:
                    bound(graph, box, arrays)  # constants are converted once
                started = time.process_time()
                width = bound(graph, box, arrays).mean()
                cells.append(f"{width:.4g} | {time.process_time() - started:.3f}")
            files = (Path(model).stem, Path(prop).stem)
            yield f"| {' | '.join((name, *files, *cells))} |"


def bench() -> None:
    """Writes results/zonotope.md."""
    lines = ["# Zonotopes", "", *conditions("python benchmarks/run.py zonotope"), ""]
    lines.append("Mean width of the outputs' bounds on the first box of each property, and seconds")
    lines.append("of CPU (one thread; float64 on numpy, float32 on PyTorch where it convolves).")
    lines += ["", "| set | model | property | interval | s | zonotope | s | CROWN | s "
              "| both | s |"]  # fmt: skip
    lines.append("|---" * 11 + "|")
    for row in _rows():
        print(row, flush=True)
        lines.append(row)
    lines += ["", *NOTES]
    path = ROOT / "benchmarks" / "results" / "zonotope.md"
    path.write_text("\n".join(lines) + "\n")
