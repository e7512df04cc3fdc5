"""The byte form of graphs: canonical, stable, and hostile bytes end in one named error."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from irmodels import AFFINE, random_graph

from absint.ir import (
    Constant,
    Graph,
    GraphBuilder,
    GraphFormatError,
    digest,
    evaluate,
    from_bytes,
    to_bytes,
)
from absint.ir.serialize import MAGIC

GRAPHS = [case.graph() for case in AFFINE] + [random_graph(seed) for seed in range(12)]


def sample() -> Graph:
    """Every sort of content: two inputs, attributes of each type, a radius, an index."""
    builder = GraphBuilder()
    a, b = builder.input("a", (1, 2)), builder.input("b", (1, 1, 3), "float32")
    weight = Constant(np.array([[1.5], [-0.0]]), np.array([[2.0**-60], [0.0]]))
    h = builder.add("dense", [a], consts={"weight": weight, "bias": Constant(np.array([3.0]))})
    c = builder.add(
        "conv",
        [b],
        attrs={"strides": (1,), "dilations": (1,), "pads": (0, 1), "groups": 1},
        consts={"weight": Constant(np.ones((1, 1, 2)))},
    )
    g = builder.add("gather", [c], consts={"index": Constant(np.array([[-1]]))})
    s = builder.add("sum", [h, g], attrs={"coefficients": (1, -1)})
    y = builder.add("leaky_relu", [s], attrs={"alpha": 0.1})
    return builder.build({"y": y, "straight": a})


def parts(data: bytes) -> tuple[Any, bytes]:
    """The header, parsed, and the constants' bytes."""
    start = len(MAGIC) + 8
    length = int.from_bytes(data[len(MAGIC) : start], "little")
    return json.loads(data[start : start + length]), data[start + length :]


def joined(header: Any, blobs: bytes) -> bytes:
    """A file with this header, in the canonical JSON form."""
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return MAGIC + len(text).to_bytes(8, "little") + text + blobs


@pytest.mark.parametrize("index", range(len(GRAPHS)))
def test_a_graph_comes_back_as_it_was(index: int) -> None:
    graph = GRAPHS[index]
    data = to_bytes(graph)
    again = from_bytes(data)
    assert to_bytes(again) == data
    assert again.inputs == graph.inputs
    assert again.outputs == graph.outputs
    x = np.random.default_rng(0).normal(size=(3, graph.input_size))
    assert np.array_equal(evaluate(again, x), evaluate(graph, x))


def test_the_sample_comes_back_with_its_radius_and_types() -> None:
    graph = from_bytes(to_bytes(sample()))
    weight = graph.nodes[2].consts["weight"]
    assert weight.radius is not None
    assert weight.radius.tolist() == [[2.0**-60], [0.0]]
    assert np.signbit(weight.value[1, 0])
    assert graph.nodes[-1].attrs["alpha"] == 0.1
    assert graph.nodes[4].consts["index"].value.dtype == np.int64


def clipped(lower: float, upper: float) -> Graph:
    builder = GraphBuilder()
    attrs = {"lower": lower, "upper": upper}
    return builder.build({"y": builder.add("clip", [builder.input("x", (1,))], attrs=attrs)})


@pytest.mark.parametrize("ends", [(0.1, 6.0), (-math.inf, -0.0), (5e-324, math.inf)])
def test_infinite_attributes_come_back(ends: tuple[float, float]) -> None:
    data = to_bytes(clipped(*ends))
    attrs = from_bytes(data).nodes[1].attrs
    assert (attrs["lower"], attrs["upper"]) == ends
    assert to_bytes(from_bytes(data)) == data


@pytest.mark.parametrize("text", ["+inf", "Infinity", "INF", " inf", "nan", "-inf", "0x2p0"])
def test_an_infinite_attribute_has_one_spelling(text: str) -> None:
    header, blobs = parts(to_bytes(clipped(0.0, math.inf)))
    assert header["nodes"][1]["attrs"] == {"lower": "0x0.0p+0", "upper": "inf"}
    header["nodes"][1]["attrs"]["upper"] = text
    with pytest.raises(GraphFormatError):
        from_bytes(joined(header, blobs))


def test_the_digest_is_that_of_the_bytes_and_tells_graphs_apart() -> None:
    assert digest(GRAPHS[0]) == hashlib.sha256(to_bytes(GRAPHS[0])).hexdigest()
    assert len({digest(graph) for graph in GRAPHS}) == len(GRAPHS)


def test_the_digest_sees_every_constant_attribute_and_radius() -> None:
    def build(alpha: float, bias: float, radius: float | None) -> str:
        builder = GraphBuilder()
        off = None if radius is None else np.array([radius])
        consts = {"weight": Constant(np.eye(1)), "bias": Constant(np.array([bias]), off)}
        y = builder.add("dense", [builder.input("x", (1,))], consts=consts)
        return digest(builder.build({"y": builder.add("leaky_relu", [y], attrs={"alpha": alpha})}))

    versions = [
        build(0.1, 0.0, None),
        build(np.nextafter(0.1, 1), 0.0, None),
        build(0.1, -0.0, None),
        build(0.1, 5e-324, None),
        build(0.1, 0.0, 0.0),
        build(0.1, 0.0, 5e-324),
    ]
    assert len(set(versions)) == len(versions)


def test_the_digest_is_the_same_in_every_process() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from absint.ir import digest; from irmodels import random_graph, AFFINE\n"
        "print(*[digest(c.graph()) for c in AFFINE], *[digest(random_graph(s)) for s in range(12)])"
    )
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    seen = set()
    for seed in ("0", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", program, folder],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(tuple(run.stdout.split()))
    assert seen == {tuple(digest(graph) for graph in GRAPHS)}


def shared(constants: list[Constant]) -> Graph:
    """A chain of dense layers with these weights."""
    builder = GraphBuilder()
    x = builder.input("x", (2,))
    for weight in constants:
        x = builder.add("dense", [x], consts={"weight": weight})
    return builder.build({"y": x})


def test_a_constant_of_several_nodes_is_stored_once() -> None:
    """Whether the nodes share the object or only what it holds."""
    weight, again = Constant(np.eye(2)), Constant(np.eye(2))
    other = Constant(-np.eye(2))
    data = to_bytes(shared([weight, again, other, weight]))
    header, blobs = parts(data)
    assert [node["consts"] for node in header["nodes"][1:]] == [
        {"weight": 0},
        {"weight": 0},
        {"weight": 1},
        {"weight": 0},
    ]
    assert len(header["constants"]) == 2
    assert blobs == np.eye(2).tobytes() + (-np.eye(2)).tobytes()
    nodes = from_bytes(data).nodes
    assert nodes[1].consts["weight"] is nodes[2].consts["weight"] is nodes[4].consts["weight"]
    assert np.array_equal(nodes[3].consts["weight"].value, -np.eye(2))


@pytest.mark.parametrize(
    "near",
    [
        Constant(np.array([[0.0, -0.0], [0.0, 1.0]])),
        Constant(np.array([[0.0, 0.0], [0.0, 1.0]]), np.zeros((2, 2))),
        Constant(np.array([[0.0, 5e-324], [0.0, 1.0]])),
    ],
    ids=["signed-zero", "radius", "subnormal"],
)
def test_constants_that_are_nearly_the_same_are_kept_apart(near: Constant) -> None:
    plain = Constant(np.array([[0.0, 0.0], [0.0, 1.0]]))
    data = to_bytes(shared([plain, near]))
    assert len(parts(data)[0]["constants"]) == 2
    assert to_bytes(from_bytes(data)) == data


def test_the_digest_of_many_uses_costs_as_much_as_that_of_one() -> None:
    """Position-unrolled graphs share weights between hundreds of nodes."""
    weight = Constant(np.arange(16384.0).reshape(128, 128))
    builder = GraphBuilder()
    x = builder.input("x", (128,))
    for _ in range(300):
        x = builder.add("dense", [x], consts={"weight": weight})
    assert len(to_bytes(builder.build({"y": x}))) < weight.value.nbytes + 300 * 120


def edit(change: Callable[[Any], object]) -> bytes:
    header, blobs = parts(to_bytes(sample()))
    change(header)
    return joined(header, blobs)


def put(*path: Any) -> Callable[[Any], None]:
    """Sets the entry at ``path[:-1]`` to the last of ``path``."""

    def change(header: Any) -> None:
        for step in path[:-2]:
            header = header[step]
        header[path[-2]] = path[-1]

    return change


def swapped_constants() -> bytes:
    """The dense node's bias and the convolution's weight the other way round, all consistent."""
    header, blobs = parts(to_bytes(sample()))
    rows = header["constants"]
    header["constants"] = [rows[3], *rows[1:3], rows[0]]
    header["nodes"][2]["consts"]["bias"], header["nodes"][4]["consts"]["index"] = 3, 0
    return joined(header, blobs[-8:] + blobs[8:-8] + blobs[:8])


def padded(repeat: bool) -> bytes:
    """A fifth constant: the index again, which its node now names; or another that none names."""
    header, blobs = parts(to_bytes(sample()))
    header["constants"].append(header["constants"][3])
    if repeat:
        header["nodes"][4]["consts"]["index"] = 4
    return joined(header, blobs + (blobs[-8:] if repeat else bytes(8)))


HOSTILE = {
    "not a graph": lambda: b"ABSINT-GRAPH 1\n" + to_bytes(sample())[len(MAGIC) :],
    "empty": lambda: b"",
    "only the magic": lambda: MAGIC,
    "a header longer than the file": lambda: MAGIC + (2**63).to_bytes(8, "little") + b"{}",
    "a header that is no JSON": lambda: MAGIC + (3).to_bytes(8, "little") + b"{]}",
    "a header that is no text": lambda: MAGIC + (2).to_bytes(8, "little") + b"\xff\xfe",
    "a header of another type": lambda: joined([1, 2], b""),
    "a deeply nested header": lambda: (
        joined(0, b"")[: len(MAGIC)] + (200_000).to_bytes(8, "little") + b"[" * 200_000
    ),
    "spaces in the header": lambda: (
        MAGIC
        + (len(json.dumps(parts(to_bytes(sample()))[0]))).to_bytes(8, "little")
        + json.dumps(parts(to_bytes(sample()))[0], sort_keys=True).encode()
        + parts(to_bytes(sample()))[1]
    ),
    "trailing bytes": lambda: to_bytes(sample()) + b"\0",
    "no outputs": lambda: edit(put("outputs", [])),
    "no inputs": lambda: edit(put("inputs", [])),
    "an extra key": lambda: edit(put("note", "x")),
    "no nodes": lambda: edit(put("nodes", [])),
    "nodes that are a number": lambda: edit(put("nodes", 3)),
    "an unknown op": lambda: edit(put("nodes", 6, "op", "softmax")),
    "an op that is a list": lambda: edit(put("nodes", 6, "op", [])),
    "attributes that are a list": lambda: edit(put("nodes", 6, "attrs", [])),
    "a constant that is not listed": lambda: edit(put("nodes", 2, "consts", "weight", 4)),
    "a constant counted from the end": lambda: edit(put("nodes", 2, "consts", "weight", -3)),
    "a constant that is a truth": lambda: edit(put("nodes", 2, "consts", "weight", True)),
    "a constant under a name that is a number": lambda: edit(put("nodes", 2, "consts", 1)),
    "constants in another order": lambda: swapped_constants(),
    "a constant that nothing uses": lambda: padded(repeat=False),
    "a constant twice": lambda: padded(repeat=True),
    "constants that are no list": lambda: edit(put("constants", 3)),
    "a constant that is no row": lambda: edit(put("constants", 0, 3)),
    "a node's constants that are a list": lambda: edit(put("nodes", 2, "consts", ["weight"])),
    "an unknown attribute": lambda: edit(put("nodes", 6, "attrs", "beta", "0x0p+0")),
    "an attribute that is NaN": lambda: edit(put("nodes", 6, "attrs", "alpha", "nan")),
    "an attribute that is infinite": lambda: edit(put("nodes", 6, "attrs", "alpha", "-inf")),
    "an attribute in decimals": lambda: edit(put("nodes", 6, "attrs", "alpha", "0.5")),
    "an attribute that is a plain float": lambda: edit(put("nodes", 6, "attrs", "alpha", 0.5)),
    "an attribute that is null": lambda: edit(put("nodes", 6, "attrs", "alpha", None)),
    "strides as one number": lambda: edit(put("nodes", 3, "attrs", "strides", 1)),
    "strides of floats": lambda: edit(put("nodes", 3, "attrs", "strides", [1.0])),
    "strides of text": lambda: edit(put("nodes", 3, "attrs", "strides", ["1"])),
    "groups as a list": lambda: edit(put("nodes", 3, "attrs", "groups", [1])),
    "a shape that is not the op's": lambda: edit(put("nodes", 2, "shape", [1, 2])),
    "an input's shape with a fraction": lambda: edit(put("nodes", 0, "shape", [1, 2.0])),
    "an input's shape with a truth": lambda: edit(put("nodes", 0, "shape", [True, 2])),
    "an input's shape of text": lambda: edit(put("nodes", 0, "shape", ["1", 2])),
    "an empty input": lambda: edit(put("nodes", 0, "shape", [0, 2])),
    "a node that reads itself": lambda: edit(put("nodes", 6, "inputs", [6])),
    "a node that reads a later one": lambda: edit(put("nodes", 2, "inputs", [5])),
    "a node that reads backwards": lambda: edit(put("nodes", 6, "inputs", [-2])),
    "a node that reads a fraction": lambda: edit(put("nodes", 6, "inputs", [5.0])),
    "a node that reads a truth": lambda: edit(put("nodes", 2, "inputs", [False])),
    "an output past the end": lambda: edit(put("outputs", 0, "node", 7)),
    "an output counted from the end": lambda: edit(put("outputs", 0, "node", -1)),
    "an output that is a fraction": lambda: edit(put("outputs", 0, "node", 6.0)),
    "an output that is a truth": lambda: edit(put("outputs", 1, "node", False)),
    "an output without a name": lambda: edit(lambda h: h["outputs"][0].pop("name")),
    "an output whose name is a number": lambda: edit(put("outputs", 0, "name", 3)),
    "an output of no type": lambda: edit(put("outputs", 0, "dtype", None)),
    "an input that is no input": lambda: edit(put("inputs", 1, "node", 2)),
    "inputs in another order": lambda: edit(lambda h: h["inputs"].reverse()),
    "an input twice": lambda: edit(lambda h: h["inputs"].append(h["inputs"][0])),
    "a constant of another type": lambda: edit(put("constants", 1, "dtype", "<f4")),
    "a constant of objects": lambda: edit(put("constants", 1, "dtype", "O")),
    "a constant of no type": lambda: edit(put("constants", 1, "dtype", "(,")),
    "a constant of integers": lambda: edit(put("constants", 1, "dtype", "<i8")),
    "an index of floats": lambda: edit(put("constants", 3, "dtype", "<f8")),
    "a constant larger than the file": lambda: edit(put("constants", 1, "shape", [2, 10**12])),
    "a constant of negative size": lambda: edit(put("constants", 1, "shape", [-2, -1])),
    "a constant's shape with a fraction": lambda: edit(put("constants", 1, "shape", [2.0, 1])),
    "a radius that is a number": lambda: edit(put("constants", 1, "radius", 1)),
    "a radius dropped": lambda: edit(put("constants", 1, "radius", False)),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_are_a_format_error(make: Callable[[], bytes]) -> None:
    with pytest.raises(GraphFormatError):
        from_bytes(make())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["value", "radius"])
def test_a_constant_that_is_not_finite_is_a_format_error(bad: float, place: str) -> None:
    data = to_bytes(sample())
    header, blobs = parts(data)
    # the sample's constants: bias (1), weight (2), its radius (2), then the others
    at = 8 * (1 if place == "value" else 3)
    assert from_bytes(joined(header, blobs))
    with pytest.raises(GraphFormatError):
        from_bytes(joined(header, blobs[:at] + np.array(bad).tobytes() + blobs[at + 8 :]))


def test_a_negative_radius_is_a_format_error() -> None:
    header, blobs = parts(to_bytes(sample()))
    with pytest.raises(GraphFormatError):
        from_bytes(joined(header, blobs[:24] + np.array(-1.0).tobytes() + blobs[32:]))


def test_every_truncation_is_a_format_error() -> None:
    data = to_bytes(sample())
    for length in range(len(data)):
        with pytest.raises(GraphFormatError):
            from_bytes(data[:length])


def test_a_changed_byte_is_an_error_or_another_graph() -> None:
    data, rng = to_bytes(sample()), np.random.default_rng(1)
    original, survivors = digest(sample()), 0
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= int(rng.integers(1, 256))
        try:
            graph = from_bytes(bytes(changed))
        except GraphFormatError:
            continue
        survivors += 1
        assert to_bytes(graph) == bytes(changed)
        assert digest(graph) != original
    assert survivors > 20, "values of constants may change"


def test_random_headers_never_raise_anything_else() -> None:
    """Random edits of the parsed header, written canonically again."""
    rng = np.random.default_rng(2)
    values = [None, True, -1, 0, 1, 2**70, 1.5, 1e400, "", "x", "0x1p-3", [], [0], {}, {"a": 1}]
    header, blobs = parts(to_bytes(sample()))
    text, refused = json.dumps(header), 0
    for _ in range(1500):
        changed = json.loads(text)
        _mutate(changed, rng, values)
        data = joined(changed, blobs)
        try:
            assert to_bytes(from_bytes(data)) == data
        except GraphFormatError:
            refused += 1
    assert refused > 1000


def _mutate(value: Any, rng: np.random.Generator, values: list[Any]) -> None:
    """Replaces, drops or doubles one entry, somewhere."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = keys[int(rng.integers(len(keys)))]
    if isinstance(value[key], dict | list) and value[key] and rng.random() < 0.85:
        _mutate(value[key], rng, values)
    elif rng.random() < 0.7:
        value[key] = values[int(rng.integers(len(values)))]
    elif isinstance(value, list):
        value.insert(key, value[key])
    else:
        del value[key]
