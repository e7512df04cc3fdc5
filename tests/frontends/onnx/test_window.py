"""Convolution and average pooling, against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnxmodels import agree, agree_exactly, single, var, whole

from absint.problem import InputError, UnsupportedError

CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((1, 2, 9), (3, 2, 3), {}),
    ((2, 2, 9), (3, 2, 3), {"strides": [2], "pads": [1, 2]}),
    ((1, 2, 5, 6), (4, 2, 3, 3), {}),
    ((1, 2, 5, 6), (4, 2, 3, 2), {"pads": [1, 0, 2, 1], "strides": [2, 3]}),
    ((1, 2, 7, 8), (4, 2, 3, 3), {"dilations": [2, 3]}),
    ((1, 4, 5, 5), (6, 2, 3, 3), {"group": 2}),
    ((1, 3, 5, 5), (3, 1, 2, 2), {"group": 3, "strides": [2, 2]}),
    ((2, 3, 5, 5), (6, 1, 3, 3), {"group": 3, "pads": [1, 1, 1, 1], "dilations": [2, 1]}),
    ((1, 2, 5, 5), (3, 2, 1, 1), {}),
    ((1, 2, 5, 5), (3, 2, 5, 5), {"kernel_shape": [5, 5]}),
    ((1, 2, 4, 4, 4), (3, 2, 2, 2, 2), {"pads": [1, 0, 0, 0, 1, 1], "strides": [1, 2, 1]}),
    ((1, 2, 3, 4, 3), (2, 1, 2, 2, 2), {"group": 2}),
]


@pytest.mark.parametrize("opset", [7, 11, 22])
@pytest.mark.parametrize(("x", "w", "attributes"), CONVOLUTIONS)
def test_convolution(
    x: tuple[int, ...], w: tuple[int, ...], attributes: dict[str, Any], opset: int, tmp_path: Path
) -> None:
    agree_exactly(single("Conv", var(*x), whole(1, *w), opset=opset, **attributes), tmp_path)
    proto = single("Conv", var(*x), whole(1, *w), whole(2, w[0]), opset=opset, **attributes)
    agree_exactly(proto, tmp_path)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize("kernel", [(2, 3), (3, 2), (1, 1)])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
def test_automatic_padding_of_convolutions(
    mode: str, kernel: tuple[int, int], strides: Any, tmp_path: Path
) -> None:
    weight = whole(1, 3, 2, *kernel)
    proto = single("Conv", var(1, 2, 6, 7), weight, auto_pad=mode, strides=strides)
    agree_exactly(proto, tmp_path)


def test_automatic_padding_is_not_guessed_for_dilated_kernels(tmp_path: Path) -> None:
    same: dict[str, Any] = {"auto_pad": "SAME_UPPER", "dilations": [2, 1]}
    with pytest.raises(UnsupportedError, match="auto_pad=SAME_UPPER with dilations"):
        agree_exactly(single("Conv", var(1, 2, 6, 7), whole(1, 3, 2, 2, 2), **same), tmp_path)


def test_padding_beyond_the_edge_is_not_counted_by_guess(tmp_path: Path) -> None:
    attributes: dict[str, Any] = {
        "kernel_shape": [2],
        "strides": [2],
        "ceil_mode": 1,
        "count_include_pad": 1,
    }
    with pytest.raises(UnsupportedError, match="count_include_pad with ceil_mode"):
        agree(single("AveragePool", var(1, 2, 5), **attributes), tmp_path)
    agree(single("AveragePool", var(1, 2, 6), **attributes), tmp_path)


POOLS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((1, 2, 8), {"kernel_shape": [2]}),
    ((1, 2, 9), {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
    ((1, 2, 6, 6), {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ((2, 3, 5, 6), {"kernel_shape": [3, 2], "strides": [2, 1]}),
    ((1, 2, 5, 6), {"kernel_shape": [3, 3], "pads": [1, 0, 1, 2]}),
    ((1, 2, 5, 5), {"kernel_shape": [5, 5]}),
    ((1, 2, 4, 4, 4), {"kernel_shape": [2, 2, 2], "pads": [0, 1, 0, 1, 0, 0]}),
]


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("opset", [7, 10, 11, 19, 22])
@pytest.mark.parametrize(("x", "attributes"), POOLS)
def test_average_pool(
    x: tuple[int, ...], attributes: dict[str, Any], opset: int, include: int, tmp_path: Path
) -> None:
    proto = single("AveragePool", var(*x), opset=opset, count_include_pad=include, **attributes)
    agree(proto, tmp_path)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("opset", [7, 11, 19, 22])
def test_automatic_padding_of_pools(mode: str, include: int, opset: int, tmp_path: Path) -> None:
    proto = single(
        "AveragePool",
        var(1, 2, 6, 7),
        opset=opset,
        kernel_shape=[3, 2],
        strides=[2, 2],
        auto_pad=mode,
        count_include_pad=include,
    )
    agree(proto, tmp_path)


@pytest.mark.parametrize("opset", [10, 11, 19, 22])
@pytest.mark.parametrize("extent", [5, 6, 7, 8])
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (2, 3), (3, 3)])
@pytest.mark.parametrize("pads", [[0, 0], [1, 1], [0, 1], [1, 0]])
def test_ceil_mode(
    extent: int, kernel: int, stride: int, pads: list[int], opset: int, tmp_path: Path
) -> None:
    proto = single(
        "AveragePool",
        var(1, 2, extent),
        opset=opset,
        kernel_shape=[kernel],
        strides=[stride],
        pads=pads,
        ceil_mode=1,
    )
    agree(proto, tmp_path)


@pytest.mark.parametrize("opset", [19, 22])
@pytest.mark.parametrize("include", [0, 1])
def test_dilated_pools(opset: int, include: int, tmp_path: Path) -> None:
    proto = single(
        "AveragePool",
        var(1, 2, 9, 9),
        opset=opset,
        kernel_shape=[3, 2],
        dilations=[2, 3],
        pads=[1, 1, 0, 1],
        count_include_pad=include,
    )
    agree(proto, tmp_path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_convolution(tmp_path: Path, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 3))
    groups, inner, outer = (data.draw(st.integers(1, 3)) for _ in range(3))

    def some(low: int, high: int, count: int) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    proto = single(
        "Conv",
        var(data.draw(st.integers(1, 2)), groups * inner, *some(1, 6, rank)),
        whole(1, groups * outer, inner, *some(1, 3, rank)),
        whole(2, groups * outer),
        group=groups,
        strides=some(1, 3, rank),
        dilations=some(1, 2, rank),
        pads=some(0, 2, 2 * rank),
    )
    try:
        agree_exactly(proto, tmp_path)
    except (InputError, UnsupportedError) as error:
        assume("larger than" not in str(error))
        raise
