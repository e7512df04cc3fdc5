"""The ten examples of docs/spec.md are read as they stand there, and mean what they say."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from absint.frontends.spec import Spec, read
from absint.ir import Graph, Port
from absint.problem import constraint

F = Fraction
_DOCS = Path(__file__).parents[3] / "docs" / "spec.md"
_EXAMPLE = re.compile(r"^### (\d+)\. .*?\n\nNetwork: (.*?)\n\n```yaml\n(.*?)^```", re.M | re.S)
_SHAPED = re.compile(r"`([^`]+)` \[([\d, ]+)\]")
EXAMPLES = {int(n): (about, text) for n, about, text in _EXAMPLE.findall(_DOCS.read_text())}


def _shaped(text: str) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(map(int, shape.split(",")))) for name, shape in _SHAPED.findall(text)]


def _ports(text: str) -> tuple[Port, ...]:
    return tuple(Port(name, 0, shape) for name, shape in _shaped(text))


def _write_arrays(text: str, folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name, shape in _shaped(text):
        file, _, key = name.partition(":")
        if file == "labels.npy":
            np.save(folder / file, np.arange(shape[0]) % 10)
        elif key:
            np.savez(folder / file, **{key: rng.integers(0, 256, shape, dtype=np.uint8)})
        else:
            np.save(folder / file, rng.random(shape, dtype=np.float32))


def _example(number: int, folder: Path) -> Spec:
    about, text = EXAMPLES[number]
    network, _, files = about.partition("Files:")
    inputs, outputs = network.split("output", 1)
    _write_arrays(files, folder)
    (folder / "spec.yaml").write_text(text)
    return read(folder / "spec.yaml", Graph((), _ports(inputs), _ports(outputs)))


def test_there_are_ten() -> None:
    assert sorted(EXAMPLES) == list(range(1, 11))


@pytest.mark.parametrize("number", range(1, 11))
def test_every_example_is_read_and_fits_the_schema(number: int, tmp_path: Path) -> None:
    import json

    import jsonschema
    import yaml

    from absint.frontends import spec as package

    assert _example(number, tmp_path).properties
    schema = json.loads((Path(package.__file__).parent / "schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(EXAMPLES[number][1]))


def test_names(tmp_path: Path) -> None:
    (problem,) = _example(1, tmp_path).properties
    (cell,) = problem.cells
    assert problem.name == "spec"
    assert cell.box.lower == (F("0.6"), F("-0.5"), F("-0.5"), F("0.45"), F("-0.5"))
    assert cell.box.upper == (F("0.679857769"), F("0.5"), F("0.5"), F("0.5"), F("-0.45"))
    assert cell.catastrophe == ((constraint((), [(0, F(-1))], F("-3.991125645861615")),),)


def test_raw_units(tmp_path: Path) -> None:
    (problem,) = _example(2, tmp_path).properties
    (cell,) = problem.cells
    assert cell.box.lower[0] == (F("55947.691") - F("19791.091")) / 60261
    assert cell.box.upper[3:] == (F(1, 2), F(-9, 20))
    row = constraint((), [(0, -F("373.94992"))], F("7.518884") - 1500, strict=True)
    assert cell.catastrophe == ((row,),)


def test_several_properties(tmp_path: Path) -> None:
    bounded, tilting = _example(3, tmp_path).properties
    assert (bounded.name, tilting.name) == ("bounded", "tilting-right")
    assert bounded.cells[0].box.lower == (F(-12, 5), F(-1), F(-1, 20), F(-1))
    assert bounded.cells[0].catastrophe == (
        (constraint((), [(0, F(1)), (1, F(-1))], F(-10), strict=True),),
        (constraint((), [(0, F(-1)), (1, F(1))], F(-10), strict=True),),
    )
    assert tilting.cells[0].box.lower == (F(-12, 5), F(-1), F(1, 25), F(1, 2))
    assert tilting.cells[0].catastrophe == ((constraint((), [(1, F(1)), (0, F(-1))], F(0)),),)


def test_image(tmp_path: Path) -> None:
    (problem,) = _example(4, tmp_path).properties
    image = np.load(tmp_path / "digits.npy")[7].ravel()
    box = problem.cells[0].box
    assert box.lower == tuple(max(F(float(v)) - F(8, 255), F(0)) for v in image)
    assert box.upper == tuple(min(F(float(v)) + F(8, 255), F(1)) for v in image)
    expected = [
        (constraint((), [(3, F(1)), (j, F(-1))], F(0), strict=j > 3),) for j in range(10) if j != 3
    ]
    assert sorted(map(str, problem.cells[0].catastrophe)) == sorted(map(str, expected))


def test_channels(tmp_path: Path) -> None:
    (problem,) = _example(5, tmp_path).properties
    photo = np.load(tmp_path / "photos.npz")["cat"].astype(int)
    mean, std = [F("125.3"), F(123), F("113.9")], [F(63), F("62.1"), F("66.7")]
    box = problem.cells[0].box
    for i, (c, h, w) in enumerate(np.ndindex(3, 4, 4)):
        low, high = max(F(int(photo[c, h, w])) - 2, F(0)), min(F(int(photo[c, h, w])) + 2, F(255))
        assert box.lower[i] == (low - mean[c]) / std[c]
        assert box.upper[i] == (high - mean[c]) / std[c]


def test_union(tmp_path: Path) -> None:
    (problem,) = _example(6, tmp_path).properties
    fast, slow = problem.cells
    assert (fast.box.lower, fast.box.upper) == ((F(0), F(20)), (F(50), F(30)))
    assert (slow.box.lower, slow.box.upper) == ((F(0), F(5)), (F(50), F(20)))
    assert fast.constraints == (constraint([(0, F(1)), (1, F(-2))], (), F(0)),)
    assert slow.constraints == (
        constraint([(0, F(1)), (1, F(-1))], (), F(0)),
        constraint([(0, F(-1)), (1, F(-1))], (), F(-10)),
    )


def test_inputs_in_conditions(tmp_path: Path) -> None:
    (problem,) = _example(7, tmp_path).properties
    above = tuple(constraint([(i, F(1))], [(0, F(-1))], F(-1, 10), strict=True) for i in range(3))
    below = tuple(constraint([(i, F(-1))], [(0, F(1))], F(-1, 10), strict=True) for i in range(3))
    assert problem.cells[0].catastrophe == (above, below)


def test_several_tensors(tmp_path: Path) -> None:
    decision, interval = _example(8, tmp_path).properties
    assert (decision.name, interval.name) == ("confident-decision", "range")
    assert decision.cells[0].box.upper == (F(1), F(1), F(1), F(1, 2), F(100), F(100), F(100))
    sure = constraint((), [(4, F(-1))], F(-9, 10), strict=True)
    assert decision.cells[0].catastrophe == tuple(
        (constraint((), [(2, F(1)), (j, F(-1))], F(0), strict=j > 2), sure) for j in (0, 1, 3)
    )


def test_dataset(tmp_path: Path) -> None:
    spec = _example(9, tmp_path)
    assert spec.dataset is not None
    assert [row.row for row in spec.dataset.rows] == [*range(10), 42]
    assert [row.label for row in spec.dataset.rows] == [*range(10), 2]
    assert [p.name for p in spec.properties] == [row.property for row in spec.dataset.rows]
    assert spec.properties[10].name == "row-42"
    pixel = F(float(np.load(tmp_path / "digits.npy")[42, 0, 27, 27]))
    assert spec.properties[10].cells[0].box.upper[-1] == min(pixel + F(1, 50), F(1))
    assert spec.sources.files == ("digits.npy", "labels.npy")


def test_floats_and_ties(tmp_path: Path) -> None:
    spec = _example(10, tmp_path)
    (problem,) = spec.properties
    assert problem.name == "no-strong-left"
    assert problem.semantics.inputs == "representable"
    assert problem.cells[0].box.upper == (F(1), F(1, 3))
    assert problem.cells[0].catastrophe == (
        (
            constraint((), [(0, F(1)), (2, F(-1))], F(0), strict=True),
            constraint((), [(1, F(1)), (2, F(-1))], F(0), strict=True),
        ),
        (
            constraint((), [(0, F(1)), (1, F(-1))], F(0)),
            constraint((), [(1, F(1)), (0, F(-1))], F(0)),
            constraint((), [(2, F(1))], F(0)),
        ),
    )
    assert spec.sources.output_names == ("left", "straight", "right")
