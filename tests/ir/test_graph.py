"""Constants, nodes and the builder: well-formed by construction, immutable, and pruned."""

from __future__ import annotations

import numpy as np
import pytest

from absint.ir import Constant, GraphBuilder, ShapeError, digest, evaluate
from absint.ir.graph import Port


def test_constants_keep_exact_values_of_every_type() -> None:
    assert Constant(np.array([0.1], dtype=np.float32)).value[0] == float(np.float32(0.1))
    assert Constant(np.array([0.1], dtype=np.float16)).value[0] == float(np.float16(0.1))
    assert Constant(np.array([2**62 + 1])).value[0] == 2**62 + 1


def test_constants_are_copies_that_cannot_be_written() -> None:
    source = np.ones(2)
    constant = Constant(source, np.zeros(2))
    source[0] = 7.0
    assert constant.value.tolist() == [1.0, 1.0]
    assert constant.radius is not None
    for array in (constant.value, constant.radius):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 2.0


@pytest.mark.parametrize(
    ("value", "radius"),
    [
        ([np.nan], None),
        ([np.inf], None),
        ([1.0], [np.nan]),
        ([1.0], [np.inf]),
        ([1.0], [-1e-300]),
        ([1.0], [0.0, 0.0]),
        ([1.0], 0.0),
    ],
)
def test_constants_refuse_what_is_not_finite_or_does_not_fit(value: object, radius: object) -> None:
    with pytest.raises(ValueError, match=r"constant|radius"):
        Constant(np.array(value), None if radius is None else np.array(radius))


@pytest.mark.parametrize("shape", [(0,), (2, 0), (-1,), (3, -2)])
def test_an_empty_input_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        GraphBuilder().input("x", shape)


@pytest.mark.parametrize("operand", [-1, 1, 7])
def test_a_node_reads_only_nodes_before_it(operand: int) -> None:
    builder = GraphBuilder()
    builder.input("x", (2,))
    with pytest.raises(ShapeError):
        builder.add("relu", [operand])


def test_build_prunes_what_no_output_needs_and_keeps_all_inputs() -> None:
    builder = GraphBuilder()
    a, b = builder.input("a", (2,)), builder.input("b", (2,))
    dead = builder.add("relu", [b])
    builder.add("tanh", [dead])
    y = builder.add("sum", [a, a], attrs={"coefficients": (1, 1)})
    graph = builder.build({"y": y, "again": y, "straight": b})
    assert [node.op for node in graph.nodes] == ["input", "input", "sum"]
    assert [(p.name, p.node) for p in graph.inputs] == [("a", 0), ("b", 1)]
    assert [(p.name, p.node) for p in graph.outputs] == [("y", 2), ("again", 2), ("straight", 1)]
    assert evaluate(graph, np.array([[1.0, 2.0, 3.0, 4.0]])).tolist() == [[2, 4, 2, 4, 3, 4]]


def test_the_flat_vectors_are_the_ports_in_order() -> None:
    builder = GraphBuilder()
    a, b = builder.input("a", (2, 2)), builder.input("b", ())
    y = builder.add("reshape", [b], attrs={"shape": (1, 1)})
    graph = builder.build({"y": y, "a": a})
    assert (graph.input_size, graph.output_size, graph.parameter_count()) == (5, 5, 0)
    assert graph.input_slices() == {0: slice(0, 4), 1: slice(4, 5)}
    assert graph.output_slices() == [(2, slice(0, 1)), (0, slice(1, 5))]
    assert evaluate(graph, np.arange(5.0)[None]).tolist() == [[4, 0, 1, 2, 3]]


def test_parameters_are_weights_not_indices() -> None:
    builder = GraphBuilder()
    x = builder.add(
        "gather", [builder.input("x", (3,))], consts={"index": Constant(np.array([0, 1]))}
    )
    y = builder.add(
        "dense",
        [x],
        consts={"weight": Constant(np.ones((2, 4))), "bias": Constant(np.ones(4))},
    )
    assert builder.build({"y": y}).parameter_count() == 12


def test_node_names_are_for_people_and_port_names_are_not() -> None:
    def build(node: str, port: str) -> str:
        builder = GraphBuilder()
        y = builder.add("relu", [builder.input("x", (2,))], name=node)
        return digest(builder.build({port: y}))

    assert build("a", "y") == build("b", "y")
    assert build("a", "y") != build("a", "z")


def test_a_port_counts_its_entries() -> None:
    assert [Port("x", 0, shape).size for shape in ((), (3,), (2, 4))] == [1, 3, 8]
