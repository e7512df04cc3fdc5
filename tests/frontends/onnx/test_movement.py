"""Data movement, against onnxruntime: equal to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnxmodels import Array, agree_exactly, model, single, var, whole

LARGE = 2**63 - 1


def ints(*values: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 24])
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -3])
def test_flatten(axis: int, opset: int, tmp_path: Path) -> None:
    if axis < 0 and opset < 11:
        pytest.skip("negative axes came with opset 11")
    agree_exactly(single("Flatten", var(2, 3, 4), axis=axis, opset=opset), tmp_path)


def test_flatten_of_a_scalar(tmp_path: Path) -> None:
    agree_exactly(single("Flatten", var(), axis=0), tmp_path)


@pytest.mark.parametrize("opset", [7, 13, 14, 24])
@pytest.mark.parametrize("shape", [(6, 4), (-1,), (0, -1), (2, 0, 4), (4, 3, 2), (1, 0, -1, 1)])
def test_reshape(shape: tuple[int, ...], opset: int, tmp_path: Path) -> None:
    agree_exactly(single("Reshape", var(2, 3, 4), ints(*shape), opset=opset), tmp_path)


def test_reshape_to_a_scalar(tmp_path: Path) -> None:
    agree_exactly(single("Reshape", var(1, 1), ints()), tmp_path)


@pytest.mark.parametrize("opset", [7, 11, 13, 21, 24])
@pytest.mark.parametrize(
    ("shape", "axes"), [((1, 3, 1), (0,)), ((1, 3, 1), (0, 2)), ((1, 3, 1), (-1,)), ((1, 1), None)]
)
def test_squeeze(
    shape: tuple[int, ...], axes: tuple[int, ...] | None, opset: int, tmp_path: Path
) -> None:
    if opset < 11 and axes == (-1,):
        pytest.skip("negative axes came with opset 11")
    operands = [var(*shape)] + ([ints(*axes)] if axes is not None and opset >= 13 else [])
    attributes: dict[str, Any] = {"axes": axes} if axes is not None and opset < 13 else {}
    agree_exactly(single("Squeeze", *operands, opset=opset, **attributes), tmp_path)


@pytest.mark.parametrize("opset", [7, 11, 13, 24])
@pytest.mark.parametrize("axes", [(0,), (0, 3), (2, 1), (3, 0)])
def test_unsqueeze(axes: tuple[int, ...], opset: int, tmp_path: Path) -> None:
    operands = [var(2, 3), ints(*axes)] if opset >= 13 else [var(2, 3)]
    attributes: dict[str, Any] = {} if opset >= 13 else {"axes": axes}
    agree_exactly(single("Unsqueeze", *operands, opset=opset, **attributes), tmp_path)


@pytest.mark.parametrize("opset", [7, 13, 24])
@pytest.mark.parametrize("perm", [None, (0, 1, 2), (2, 0, 1), (1, 0, 2), (0, 2, 1)])
def test_transpose(perm: tuple[int, ...] | None, opset: int, tmp_path: Path) -> None:
    attributes: dict[str, Any] = {} if perm is None else {"perm": perm}
    agree_exactly(single("Transpose", var(2, 3, 4), opset=opset, **attributes), tmp_path)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("opset", [7, 11, 13])
def test_concat(axis: int, opset: int, tmp_path: Path) -> None:
    if axis < 0 and opset < 11:
        pytest.skip("negative axes came with opset 11")
    proto = single("Concat", var(2, 2), whole(1, 2, 2), var(2, 2), opset=opset, axis=axis)
    agree_exactly(proto, tmp_path)
    agree_exactly(single("Concat", var(2, 2), axis=axis, opset=opset), tmp_path)


def test_concat_with_an_empty_constant(tmp_path: Path) -> None:
    empty = np.zeros((2, 0), dtype=np.float32)
    graph = agree_exactly(single("Concat", empty, var(2, 2), axis=1), tmp_path)
    assert len(graph.nodes) == 1


@pytest.mark.parametrize(
    ("opset", "sizes", "attributes"),
    [
        (7, None, {"split": (1, 2, 3)}),
        (7, None, {}),
        (11, None, {"split": (2, 2, 2)}),
        (13, ints(3, 2, 1), {}),
        (13, None, {}),
        (18, ints(1, 1, 4), {}),
        (18, None, {"num_outputs": 3}),
        (24, None, {"num_outputs": 3}),
    ],
)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_split(
    opset: int, sizes: Any, attributes: dict[str, Any], axis: int, tmp_path: Path
) -> None:
    if axis < 0 and opset < 11:
        pytest.skip("negative axes came with opset 11")
    operands = [var(6, 6)] if sizes is None else [var(6, 6), sizes]
    proto = single("Split", *operands, opset=opset, axis=axis, count=3, **attributes)
    agree_exactly(proto, tmp_path)


@pytest.mark.parametrize(("extent", "parts"), [(7, 3), (5, 2), (5, 4), (4, 4)])
def test_split_with_a_smaller_last_part(extent: int, parts: int, tmp_path: Path) -> None:
    if extent - -(-extent // parts) * (parts - 1) <= 0:
        pytest.skip("the last part is empty")
    proto = single("Split", var(extent), opset=18, count=parts, num_outputs=parts)
    agree_exactly(proto, tmp_path)


SLICES = [
    ((0,), (2,), None, None),
    ((1, 0), (3, -1), None, None),
    ((-2,), (LARGE,), (1,), None),
    ((-100,), (100,), (0,), None),
    ((1,), (4,), (-1,), (2,)),
    ((-1,), (-LARGE,), (1,), (-1,)),
    ((3,), (0,), (1,), (-2,)),
    ((100,), (-100,), (0,), (-3,)),
    ((2, 0), (-1, 4), (1, 0), (1, 3)),
    ((0,), (LARGE,), (0,), (LARGE,)),
]


@pytest.mark.parametrize("opset", [10, 11, 13, 24])
@pytest.mark.parametrize(("starts", "ends", "axes", "steps"), SLICES)
def test_slice(starts: Any, ends: Any, axes: Any, steps: Any, opset: int, tmp_path: Path) -> None:
    optional = [None if v is None else ints(*v) for v in (axes, steps)]
    while optional and optional[-1] is None:
        optional.pop()
    proto = single("Slice", var(5, 6), ints(*starts), ints(*ends), *optional, opset=opset)
    agree_exactly(proto, tmp_path)


@pytest.mark.parametrize(("starts", "ends", "axes", "steps"), [s for s in SLICES if s[3] is None])
def test_slice_by_attributes(starts: Any, ends: Any, axes: Any, steps: Any, tmp_path: Path) -> None:
    attributes: dict[str, Any] = {} if axes is None else {"axes": axes}
    proto = single("Slice", var(5, 6), opset=9, starts=starts, ends=ends, **attributes)
    agree_exactly(proto, tmp_path)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("opset", [7, 11, 13])
@pytest.mark.parametrize(
    "indices", [ints(1, 0, 1), np.array(2), np.array([[0, 2], [1, 1]], dtype=np.int32)]
)
def test_gather(indices: Any, axis: int, opset: int, tmp_path: Path) -> None:
    if axis < 0 and opset < 11:
        pytest.skip("negative axes came with opset 11")
    agree_exactly(single("Gather", var(3, 4), indices, axis=axis, opset=opset), tmp_path)


def test_gather_counts_negative_indices_from_the_end(tmp_path: Path) -> None:
    agree_exactly(single("Gather", var(3, 4), ints(-1, -3), axis=0), tmp_path)


@pytest.mark.parametrize("opset", [8, 13])
@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 1), (1,), (5, 1, 1, 4), (3, 4)])
def test_expand(shape: tuple[int, ...], opset: int, tmp_path: Path) -> None:
    agree_exactly(single("Expand", var(3, 1), ints(*shape), opset=opset), tmp_path)


@pytest.mark.parametrize("repeats", [(1, 1), (2, 3), (1, 2)])
def test_tile(repeats: tuple[int, ...], tmp_path: Path) -> None:
    agree_exactly(single("Tile", var(2, 3), ints(*repeats)), tmp_path)


PADS = [(0, 1, 2, 0), (0, 0, 0, 0), (1, 1, 1, 1), (2, 0, 0, 0)]


@pytest.mark.parametrize("pads", [*PADS, (-1, 2, 0, -1), (0, -2, 0, 0)])
@pytest.mark.parametrize("value", [None, 0.0, 2.5])
@pytest.mark.parametrize("opset", [7, 11, 13, 18, 24])
def test_pad_with_a_constant(pads: Any, value: Any, opset: int, tmp_path: Path) -> None:
    if opset < 11:
        attributes: dict[str, Any] = {"pads": pads} | ({} if value is None else {"value": value})
        agree_exactly(single("Pad", var(3, 4), opset=opset, **attributes), tmp_path)
        return
    operands = [ints(*pads)] + ([] if value is None else [np.array(value, dtype=np.float32)])
    agree_exactly(single("Pad", var(3, 4), *operands, opset=opset), tmp_path)


@pytest.mark.parametrize("mode", ["reflect", "edge"])
@pytest.mark.parametrize("pads", PADS)
def test_pad_with_entries(mode: str, pads: Any, tmp_path: Path) -> None:
    agree_exactly(single("Pad", var(3, 4), ints(*pads), mode=mode), tmp_path)


def test_pad_on_named_axes(tmp_path: Path) -> None:
    for axes in (ints(1), ints(-2)):
        proto = single("Pad", var(3, 4), ints(1, 2), None, axes, opset=18)
        agree_exactly(proto, tmp_path)


def test_movements_in_a_row_become_one_index_map(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["a"], perm=[0, 2, 1]),
        helper.make_node("Flatten", ["a"], ["b"]),
        helper.make_node("Slice", ["b", "starts", "ends", "axes"], ["c"]),
        helper.make_node("Pad", ["c", "pads", "fill"], ["d"]),
        helper.make_node("Gather", ["d", "picks"], ["e"], axis=1),
        helper.make_node("Unsqueeze", ["e", "axes"], ["y"]),
    ]
    constants: dict[str, Array] = {
        "starts": ints(1),
        "ends": ints(9),
        "axes": ints(1),
        "pads": ints(0, 2, 0, 1),
        "fill": np.array(0, dtype=np.float32),
        "picks": ints(5, 0, 9, 2),
    }
    graph = agree_exactly(model(nodes, {"x": [1, 3, 4]}, ["y"], constants), tmp_path)
    assert [node.op for node in graph.nodes] == ["input", "gather"]


def test_an_index_map_is_not_composed_across_a_fill(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Pad", ["x", "pads", "fill"], ["a"]),
        helper.make_node("Pad", ["a", "pads", "other"], ["b"]),
        helper.make_node("Transpose", ["b"], ["c"]),
        helper.make_node("Pad", ["c", "pads"], ["d"]),
        helper.make_node("Pad", ["d", "pads", "fill"], ["y"]),
    ]
    constants: dict[str, Array] = {
        "pads": ints(0, 2, 1, 1),
        "fill": np.array(3, dtype=np.float32),
        "other": np.array(-7, dtype=np.float32),
    }
    agree_exactly(model(nodes, {"x": [2, 3]}, ["y"], constants), tmp_path)


def test_shape_arithmetic_as_exporters_write_it(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Unsqueeze", ["batch", "front"], ["lead"]),
        helper.make_node("Concat", ["lead", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["a"]),
        helper.make_node("ConstantOfShape", ["target_shape"], ["ones"], value=_one()),
        helper.make_node("Mul", ["ones", "minus"], ["marks"]),
        helper.make_node("Equal", ["target", "marks"], ["same"]),
        helper.make_node("Where", ["same", "ones", "target"], ["expanded"]),
        helper.make_node("Expand", ["bias", "expanded"], ["wide"]),
        helper.make_node("Add", ["a", "wide"], ["y"]),
    ]
    constants: dict[str, Array] = {
        "zero": np.array(0),
        "front": ints(0),
        "rest": ints(-1),
        "target_shape": ints(2),
        "minus": np.array(-1),
        "bias": whole(1, 1, 12),
    }
    agree_exactly(model(nodes, {"x": ["batch", 3, 4]}, ["y"], constants), tmp_path)


def _one() -> Any:
    return helper.make_tensor("value", 7, [1], [1])


@pytest.mark.parametrize("bounds", [{}, {"start": 1}, {"start": -2, "end": -1}, {"end": 100}])
def test_shape_between_bounds(bounds: dict[str, Any], tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], **bounds),
        helper.make_node("Cast", ["shape"], ["numbers"], to=1),
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Add", ["total", "numbers"], ["y"]),
    ]
    agree_exactly(model(nodes, {"x": [2, 3, 4]}, ["y"], opset=15), tmp_path)


def test_integer_arithmetic(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Size", ["x"], ["size"]),
        helper.make_node("Range", ["zero", "size", "five"], ["steps"]),
        helper.make_node("Sub", ["steps", "seven"], ["a"]),
        helper.make_node("Div", ["a", "two"], ["b"]),
        helper.make_node("Neg", ["b"], ["c"]),
        helper.make_node("ReduceProd", ["shape"], ["product"], keepdims=0),
        helper.make_node("Mul", ["c", "product"], ["d"]),
        helper.make_node("Cast", ["d"], ["e"], to=1),
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Add", ["total", "e"], ["y"]),
    ]
    constants: dict[str, Array] = {
        "zero": np.array(0),
        "five": np.array(5),
        "seven": np.array(7),
        "two": np.array(2),
        "shape": ints(3, 4),
    }
    agree_exactly(model(nodes, {"x": [3, 8]}, ["y"], constants), tmp_path)
