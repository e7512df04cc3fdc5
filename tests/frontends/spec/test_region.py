"""Regions: layers, raw units, and what is called empty."""

from fractions import Fraction
from pathlib import Path

import pytest

from absint.frontends.spec import read
from absint.ir import Graph, Port
from absint.problem import Cell, InputError, constraint

F = Fraction
GRAPH = Graph((), (Port("image", 0, (1, 2, 2)), Port("speed", 1, ())), (Port("y", 2, (1, 2)),))


def _cells(region: str, folder: Path, head: str = "") -> tuple[Cell, ...]:
    path = folder / "spec.yaml"
    condition = "" if "never" in head else "never: y[0] > y[1]\n"
    path.write_text(f"{head}{condition}region:\n" + region)
    return read(path, GRAPH).properties[0].cells


def _upper(region: str, folder: Path) -> list[str]:
    (cell,) = _cells(region, folder)
    return [str(v) for v in cell.box.upper]


def test_single_values_differ_from_their_tensor_in_any_order(tmp_path: Path) -> None:
    first = "  image[0, 1]: 7\n  image: [0, 1]\n  speed: 3\n"
    last = "  speed: 3\n  image: [0, 1]\n  image[1]: 7\n"
    assert _upper(first, tmp_path) == _upper(last, tmp_path) == ["1", "7", "1", "1", "3"]


def test_names_take_the_place_of_what_speaks_of_all(tmp_path: Path) -> None:
    assert _upper("  x[3..4]: 9\n  all: [0, 1]\n", tmp_path) == ["1", "1", "1", "9", "9"]
    ball = "  center: [1, 2, 3, 4, 5]\n  eps: 1/2\n  clip: [0, 5]\n  speed: [0, 100]\n"
    assert _upper(ball, tmp_path) == ["3/2", "5/2", "7/2", "9/2", "100"]


def test_alternatives_start_from_the_same(tmp_path: Path) -> None:
    left, right = _cells("  all: [0, 1]\n  any_of:\n    - {speed: 2}\n    - {image: 3}\n", tmp_path)
    assert left.box.upper == (F(1), F(1), F(1), F(1), F(2))
    assert right.box.upper == (F(3), F(3), F(3), F(3), F(1))


def test_everything_about_inputs_is_in_raw_units(tmp_path: Path) -> None:
    head = "normalize: {mean: [1, 2, 3, 4, 5], std: [1/2, 1, 1, 1, 4]}\n"
    head += "never: y[0] >= 2*speed + 1\n"
    region = "  all: [0, 8]\n  where: speed - x[0] <= 1\n"
    (cell,) = _cells(region, tmp_path, head)
    assert cell.box.lower == (F(-2), F(-2), F(-3), F(-4), F(-5, 4))
    assert cell.box.upper == (F(14), F(6), F(5), F(4), F(3, 4))
    # speed = 5 + 4 x4 and x[0] = 1 + x0 / 2 in terms of what the network receives
    assert cell.constraints == (constraint([(0, F(-1, 2)), (4, F(4))], (), F(-3)),)
    assert cell.catastrophe == ((constraint([(4, F(8))], [(0, F(-1))], F(-11)),),)


@pytest.mark.parametrize(
    ("where", "empty"),
    [
        ("speed >= 1", False),
        ("speed > 1", True),
        ("speed + x[0] >= 2", False),
        ("speed + x[0] > 2", True),
        ("-x[0] > 0", True),
        ("speed == x[0] == 1/2", False),
    ],
)
def test_empty_regions(where: str, empty: bool, tmp_path: Path) -> None:
    region = f"  all: [0, 1]\n  where: {where}\n"
    if empty:
        with pytest.raises(InputError, match="empty region: no input satisfies 'where'"):
            _cells(region, tmp_path)
    else:
        assert _cells(region, tmp_path)


def test_where_speaks_of_the_rounded_value(tmp_path: Path) -> None:
    """The float32 nearest to 0.1 is above 0.1, so only under ``representable`` is this empty."""
    region = "  all: [0, 0.1]\n  where: speed > 0.1\n"
    assert _cells(region, tmp_path)
    with pytest.raises(InputError, match="empty region"):
        _cells(region, tmp_path, "input_values: representable\n")


def test_all_boxes_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from absint.frontends.spec import context

    monkeypatch.setattr(context, "MAX_VALUES", 25)
    assert len(_cells("  any_of: [{all: 1}, {all: 2}]\n", tmp_path)) == 2
    with pytest.raises(InputError, match=r":3:32: more than 25 bounds in one spec"):
        _cells("  any_of: [{all: 1}, {all: 2}, {all: 3}]\n", tmp_path)


def test_ambiguous_names(tmp_path: Path) -> None:
    graph = Graph((), (Port("y", 0, (2,)), Port("z", 1, (1,))), (Port("x", 2, (2,)),))
    path = tmp_path / "spec.yaml"
    path.write_text("region: {all: 0}\nnever: y[0] > 0")
    with pytest.raises(InputError, match=r":2:8: 'y' is ambiguous in this network"):
        read(path, graph)
    path.write_text("region: {all: 0}\nnever: output[0] > input[0]")
    (cell,) = read(path, graph).properties[0].cells
    assert cell.catastrophe == ((constraint([(0, F(1))], [(0, F(-1))], F(0), strict=True),),)
