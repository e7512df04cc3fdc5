"""How tight the bounds of attention are: the checker's against intervals, generic ones, samples.

``python benchmarks/run.py attention``. Of random directions of an attention's output, over products
of token sets: the width of its range, bounded by

- *ours*: what the checker computes (exact tables, a linear-fractional programme a head);
- *generic*: the checker's backward linear bounds on the same network with attention written out as
  exponential, sum, reciprocal and products (``benchmarks.composed``), over the same tables;
- *intervals*: interval arithmetic on the network written out;
- *samples*: what random texts reach, each improved slot by slot; no bound is narrower.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from absint.decode import task
from absint.decode.greedy import Decoder
from absint.ir import Constant, Graph, Node, Port
from absint.ir.blocks import slots_of
from absint.ir.evaluate import run
from absint.ir.graph import FloatArray
from absint.problem.decode import DecodeProblem
from absint.proofs.bounds import Bounds
from absint.proofs.regions import Rows
from absint.proofs.tokens import BoolArray, Tables, TokenSets
from absint.proofs.transformers import forward
from absint.proofs.transformers.affine import Interval
from benchmarks.composed import composed, needed
from benchmarks.measure import ROOT, conditions

MODELS = {
    "max of 4": ("max_of_k/max_of_4.onnx", "max_of_4"),
    "max of 10": ("max_of_k/max_of_10.onnx", "max_of_10"),
    "monitor 8": ("monitor/monitor_8.onnx", "safe_8"),
    "misled": ("misled/misled.onnx", "safe"),
    "plain (RMS norm)": ("plain/plain_8.onnx", "safe"),
}
PATTERNS = ("one", "half", "all but the query's", "all")
STATES, DIRECTIONS, SAMPLES, CLIMBS = 4, 8, 2_000, 2
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Site:
    """An attention in a decode graph, with the tokens that may stand in each slot."""

    model: str
    weights: str
    layer: int
    graph: Graph
    node: int
    choices: tuple[IntArray, ...]
    tokens: int

    @property
    def query_slot(self) -> int:
        """The last slot that the attention reads: the one whose position asks."""
        return max(slots_of(self.graph)[self.node])


@dataclass(frozen=True)
class Widths:
    """(states, directions) each."""

    ours: FloatArray
    generic: FloatArray
    intervals: FloatArray
    samples: FloatArray


def bench() -> None:
    """Measures every site and pattern, and writes results/attention.md."""
    rows, every = [], dict[tuple[str, int], list[Widths]]()
    for site in sites():
        for pattern in PATTERNS:
            found = widths(site, pattern, np.random.default_rng(0))
            every.setdefault((site.weights, site.layer), []).append(found)
            name = f"{site.model}, {site.weights}"
            rows.append(f"| {name} | {site.layer} | {pattern} | {_ratios([found])} |")
            print(rows[-1], flush=True)
    head = "intervals / ours | generic / ours | ours / samples |"
    text = [
        "# Bounds of attention",
        "",
        *conditions("python benchmarks/run.py attention"),
        "",
        f"Widths of {DIRECTIONS} random directions of an attention's output on {STATES} products "
        "of token sets, as ratios: the geometric mean (least to largest). More than 1 is better "
        "for ours in the first two; in the last, 1 would be exact. The slots that are free hold "
        "every token of the prompt's set, or every token that is written there after 500 random "
        "prompts; the others one token. *drawn*: the same networks with the entries of every "
        "weight in random order. A layer-2 row is of the whole range from the tokens on.",
        "",
        f"| weights | layer | {head}",
        "|---|---:|---:|---:|---:|",
        *(f"| {w} | {layer} | {_ratios(found)} |" for (w, layer), found in sorted(every.items())),
        "",
        f"| model | layer | free slots | {head}",
        "|---|---:|---|---:|---:|---:|",
        *rows,
    ]
    (ROOT / "benchmarks" / "results" / "attention.md").write_text("\n".join(text) + "\n")


def sites() -> Iterator[Site]:
    """The last attention of each layer that the middle step's logits need."""
    for model, (path, spec) in MODELS.items():
        file = ROOT / "examples" / path
        loaded = task.load(str(file), file.with_name(f"{spec}.yaml"))
        problem = loaded.spec.problems[0]
        (cell,) = problem.cells
        trained = loaded.graphs_of(problem)[len(cell.slots)]
        for weights, graph in (("trained", trained), ("drawn", drawn(trained))):
            port = graph.outputs[problem.steps // 2]
            found = _attentions(graph, port)
            for layer in sorted(found):
                choices = _choices(graph, problem)
                size = len(problem.vocabulary)
                yield Site(model, weights, layer, graph, found[layer], choices, size)


def drawn(graph: Graph) -> Graph:
    """The same network with the entries of each weight in random order."""
    rng, known = np.random.default_rng(1), dict[int, Constant]()

    def other(name: str, constant: Constant) -> Constant:
        if name not in ("weight", "bias") or constant.value.dtype.kind != "f":
            return constant
        if id(constant.value) not in known:
            flat = rng.permutation(constant.value.reshape(-1))
            known[id(constant.value)] = Constant(flat.reshape(constant.value.shape))
        return known[id(constant.value)]

    def node(one: Node) -> Node:
        return replace(one, consts={name: other(name, c) for name, c in one.consts.items()})

    return replace(graph, nodes=tuple(map(node, graph.nodes)))


def _attentions(graph: Graph, port: Port) -> dict[int, int]:
    """By layer, from 1: the last attention of it that a port needs."""
    depth = dict[int, int]()
    found = dict[int, int]()
    for position in sorted(needed(graph, port.node)):
        node = graph.nodes[position]
        below = max((depth[i] for i in node.inputs), default=0)
        depth[position] = below + (node.op == "attend")
        if node.op == "attend":
            found[depth[position]] = position
    return found


def _choices(graph: Graph, problem: DecodeProblem) -> tuple[IntArray, ...]:
    """The prompt's sets, then what is written at each step but the last."""
    rng = np.random.default_rng(2)
    sets = [np.array(sorted(slot)) for slot in problem.cells[0].slots]
    prompts = np.stack([rng.choice(own, 500) for own in sets], axis=1)
    endless = replace(problem, stop=frozenset())
    written = Decoder(graph, endless).decode(prompts).tokens
    return (*sets, *(np.unique(column) for column in written.T[:-1]))


def widths(site: Site, pattern: str, rng: np.random.Generator) -> Widths:
    """The four widths of random directions on random products of token sets."""
    sets = _sets(site, pattern, rng)
    node = site.graph.nodes[site.node]
    c = rng.normal(size=(1, DIRECTIONS, node.size))
    texts = [_texts(own, SAMPLES, rng) for own in sets]
    port = Port("target", site.node, node.shape, "float32")
    whole = replace(site.graph, outputs=(port,))
    plain = [composed(site.graph, site.node, _shifts(site, own)) for own in texts]
    alone = [(one, site.tokens, sets[state : state + 1], c) for state, one in enumerate(plain)]
    return Widths(
        _bounded(whole, site.tokens, sets, c),
        np.concatenate([_bounded(*one) for one in alone]),
        np.concatenate([_intervals(*one) for one in alone]),
        np.stack([_sampled(site, *own, c[0]) for own in zip(sets, texts, strict=True)]),
    )


def _sets(site: Site, pattern: str, rng: np.random.Generator) -> BoolArray:
    """(states, slots, tokens)."""
    used = sorted(slots_of(site.graph)[site.node])
    count = {"one": 1, "half": max(2, len(used) // 2), "all": len(used)}.get(pattern, len(used) - 1)
    sets = np.zeros((STATES, len(site.choices), site.tokens), dtype=np.bool_)
    for state in range(STATES):
        chosen = used if pattern == "all" else rng.choice(used[:-1], count, replace=False).tolist()
        for slot, own in enumerate(site.choices):
            sets[state, slot, own if slot in chosen else rng.choice(own)] = True
    return sets


def _texts(sets: BoolArray, count: int, rng: np.random.Generator) -> IntArray:
    """(count, slots): random texts of one product."""
    return np.stack([rng.choice(np.flatnonzero(own), count) for own in sets], axis=1)


def _shifts(site: Site, texts: IntArray) -> dict[int, FloatArray]:
    """The largest score of each head, (heads,), that some of the texts have, by attention."""
    values = run(site.graph, texts[:500].astype(np.float64))
    found = {}
    for position in needed(site.graph, site.node):
        node = site.graph.nodes[position]
        if node.op == "attend":
            heads, groups = node.integer("heads"), node.integer("kv_heads")
            keys = np.stack([values[i] for i in node.inputs[1 : (len(node.inputs) + 1) // 2]], 1)
            k = keys.reshape((*keys.shape[:2], groups, 1, -1))
            q = values[node.inputs[0]].reshape((-1, 1, groups, heads // groups, k.shape[4]))
            scores = node.number("scale") * (q * k).sum(axis=4)
            found[position] = scores.max(axis=(0, 1)).reshape(-1)
    return found


def _bounded(graph: Graph, tokens: int, sets: BoolArray, c: FloatArray) -> FloatArray:
    target = graph.outputs[0].node
    bounds = Bounds(graph, TokenSets(Tables(graph, tokens), sets, target))
    both = np.concatenate([c, -c], axis=1)
    none, zeros = np.zeros((1, both.shape[1], 0)), np.zeros((1, both.shape[1]))
    least = bounds.minimum(Rows(none, none, both, np.zeros_like(both), zeros))
    return -least[:, :DIRECTIONS] - least[:, DIRECTIONS:]


def _intervals(graph: Graph, tokens: int, sets: BoolArray, c: FloatArray) -> FloatArray:
    region = TokenSets(Tables(graph, tokens), sets, graph.outputs[0].node)
    values = dict[int, Interval]()
    for position in region.order:
        node = graph.nodes[position]
        given = region.given(position, values)
        values[position] = given or forward.interval(node, [values[i] for i in node.inputs])
    lower, upper = values[graph.outputs[0].node]
    found: FloatArray = (upper - lower) @ np.abs(c[0]).T
    return found


def _sampled(site: Site, sets: BoolArray, texts: IntArray, c: FloatArray) -> FloatArray:
    """(directions,): the widths that texts of one product reach."""
    return _highest(site, sets, c, texts) + _highest(site, sets, -c, texts)


def _highest(site: Site, sets: BoolArray, c: FloatArray, texts: IntArray) -> FloatArray:
    """(directions,): the best of the texts, then slot by slot the best token."""

    def value(some: IntArray) -> FloatArray:
        found: FloatArray = run(site.graph, some.astype(np.float64))[site.node]
        return found

    first = value(texts) @ c.T
    best = texts[first.argmax(axis=0)]
    reached: FloatArray = first.max(axis=0)
    for _ in range(CLIMBS):
        for slot in sorted(slots_of(site.graph)[site.node]):
            own = np.flatnonzero(sets[slot])
            if len(own) < 2:
                continue
            tried = np.repeat(best[:, None], len(own), axis=1)
            tried[:, :, slot] = own
            flat = value(tried.reshape((-1, tried.shape[2]))).reshape((*tried.shape[:2], -1))
            found = np.einsum("dts,ds->dt", flat, c)
            better = found.max(axis=1) > reached
            best[better, slot] = own[found.argmax(axis=1)][better]
            reached = np.maximum(reached, found.max(axis=1))
    return reached


def _ratios(found: Sequence[Widths]) -> str:
    def cell(above: str, below: str) -> str:
        parts = [getattr(one, above) / np.maximum(getattr(one, below), 1e-300) for one in found]
        wide = np.concatenate([one.samples.reshape(-1) for one in found]) > 1e-9
        ratio = np.concatenate([part.reshape(-1) for part in parts])[wide]
        known = ratio[np.isfinite(ratio)]
        if not known.size:
            return "no bound"
        mean = math.exp(np.log(known).mean())
        lost = ratio.size - known.size
        missing = f"; no bound in {lost} of {ratio.size}" if lost else ""
        return f"{mean:.3g} ({known.min():.3g} to {known.max():.3g}){missing}"

    pairs = (("intervals", "ours"), ("generic", "ours"), ("ours", "samples"))
    return " | ".join(cell(*pair) for pair in pairs)
