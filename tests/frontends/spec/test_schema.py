"""The published JSON Schema and the reader agree on what is a well-formed spec."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from absint.frontends import spec as package
from absint.frontends.spec import names, read
from absint.ir import Graph, Port
from absint.problem import AbsintError

SCHEMA = json.loads((Path(package.__file__).parent / "schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
GRAPH = Graph((), (Port("state", 0, (1, 2)),), (Port("score", 1, (1, 3)),))

GOOD = [
    "region: {all: [0, 1]}\nnever: y[0] > 1",
    "region: {all: 8/255}\nnever: ['y[0] > 1', 'y[1] > 1']",
    "region: {all: 0 ± 1e-3}\nalways: argmax is 1",
    "region: {all: .5 +- 1.}\nname: a b\ndescription: d\nalways: argmax is 1",
    "region: {center: [0, 1], eps: [0.1, 1/3], norm: linf, clip: [0, 1]}\nalways: argmax is 1",
    "region: {lower: 0, upper: [1, 2]}\nalways: argmax is 1",
    "region: {'x[0]': 0, 'x[1]': [1, 2], where: 'x[1] > x[0]'}\nalways: argmax is 1",
    "region: {all: 0, any_of: [{'x[0]': 0}, {'x[0]': 1, where: ['x[1] >= 0']}]}\nnever: y[0] > 1",
    "inputs: [a, b]\noutputs: [c, d, e]\nregion: {a: 0, b: 1}\nnever: c > 1",
    "inputs: {a: 1, b: [1, 2]}\nnever: y[0] > 1",
    "inputs: {a: 1, b: }\nregion: {b: 1}\nnever: y[0] > 1",
    "inputs: {a: ~, b: null}\nregion: {all: 1}\nnever: y[0] > 1",
    "semantics: real\ninput_values: representable\nregion: {all: 1}\nnever: y[0] > 1",
    "normalize: {mean: [1, 2], std: 2, axis: 1}\nregion: {all: 1}\nnever: y[0] > 1",
    "region: {all: 1}\nproperties: {p: {never: 'y[0] > 1'}, q: {always: 'y[0] > 1'}}",
    "properties: [{region: {all: 1}, description: d, never: 'y[0] > 1'}]",
    "region: {all: 1}\nproperties: [{name: p, never: 'y[0] > 1'}, {name: q, never: 'y[0] > 1'}]",
    "dataset: {center: [[0, 1], [1, 2]], labels: [0, 1], eps: 0.1, rows: 1}",
    "dataset: {center: [[0, 1], [1, 2]], eps: 0.1, clip: [0, 2], rows: [0..1]}\nnever: y[0] > 1",
]
MALFORMED = [
    "[]",
    "text",
    "region: {all: 1}",
    "region: {all: 1}\nnever: 'y[0] > 1'\nalways: 'y[0] > 1'",
    "region: {all: 1}\nnevr: y[0] > 1",
    "region: {all: 1}\nnever: ''",
    "region: {all: 1}\nnever: []",
    "region: {all: 1}\nnever: [[a]]",
    "region: {all: 1}\nnever: {a: b}",
    "region: [1]\nnever: y[0] > 1",
    "region: {all: one}\nnever: y[0] > 1",
    "region: {all: [1, 2, 3]}\nnever: y[0] > 1",
    "region: {all: [1]}\nnever: y[0] > 1",
    "region: {all: [[1], 2]}\nnever: y[0] > 1",
    "region: {all: 1 ± x}\nnever: y[0] > 1",
    "region: {all: 0x10}\nnever: y[0] > 1",
    "region: {all: 1_000}\nnever: y[0] > 1",
    "region: {all: {a: b}}\nnever: y[0] > 1",
    "region: {center: 1}\nnever: y[0] > 1",
    "region: {all: 1, eps: 1}\nnever: y[0] > 1",
    "region: {all: 1, clip: [0, 1]}\nnever: y[0] > 1",
    "region: {lower: 1}\nnever: y[0] > 1",
    "region: {all: 1, center: 1, eps: 1}\nnever: y[0] > 1",
    "region: {center: 1, eps: 1, lower: 1, upper: 2}\nnever: y[0] > 1",
    "region: {center: [], eps: 1}\nnever: y[0] > 1",
    "region: {center: file.txt, eps: 1}\nnever: y[0] > 1",
    "region: {center: 'file.npy:key', eps: 1}\nnever: y[0] > 1",
    "region: {center: 1, eps: 1, norm: l7}\nnever: y[0] > 1",
    "region: {all: 1, where: []}\nnever: y[0] > 1",
    "region: {all: 1, where: {a: b}}\nnever: y[0] > 1",
    "region: {all: 1, any_of: []}\nnever: y[0] > 1",
    "region: {all: 1, any_of: {all: 1}}\nnever: y[0] > 1",
    "region: {all: 1, any_of: [{any_of: [{all: 1}]}]}\nnever: y[0] > 1",
    "inputs: []\nregion: {all: 1}\nnever: y[0] > 1",
    "inputs: {}\nregion: {all: 1}\nnever: y[0] > 1",
    "inputs: [a, a]\nregion: {all: 1}\nnever: y[0] > 1",
    "inputs: [a, or]\nregion: {all: 1}\nnever: y[0] > 1",
    "inputs: [a, b-c]\nregion: {all: 1}\nnever: y[0] > 1",
    "inputs: {a: 1, b: x}\nnever: y[0] > 1",
    "outputs: {a: 1}\nregion: {all: 1}\nnever: y[0] > 1",
    "semantics: exact\nregion: {all: 1}\nnever: y[0] > 1",
    "input_values: none\nregion: {all: 1}\nnever: y[0] > 1",
    "normalize: {mean: 1}\nregion: {all: 1}\nnever: y[0] > 1",
    "normalize: {mean: 1, std: 1, sdt: 1}\nregion: {all: 1}\nnever: y[0] > 1",
    "normalize: {mean: 1, std: 1, axis: 0.5}\nregion: {all: 1}\nnever: y[0] > 1",
    "region: {all: 1}\nproperties: {}",
    "region: {all: 1}\nproperties: []",
    "region: {all: 1}\nproperties: {a/b: {never: 'y[0] > 1'}}",
    "region: {all: 1}\nproperties: {a: {}}",
    "region: {all: 1}\nproperties: {a: {name: b, never: 'y[0] > 1'}}",
    "region: {all: 1}\nproperties: {a: {never: 'y[0] > 1', always: 'y[0] > 1'}}",
    "region: {all: 1}\nproperties: {a: {never: 'y[0] > 1'}}\nnever: y[0] > 1",
    "region: {all: 1}\nproperties: {a: {never: 'y[0] > 1'}}\nname: b",
    "region: {all: 1}\nproperties: [{never: 'y[0] > 1'}, {never: 'y[0] > 1'}]",
    "dataset: {}",
    "dataset: {center: [[0, 1]], eps: 1}",
    "dataset: {center: [[0, 1]], labels: [0]}",
    "dataset: {center: [0, 1], labels: [0], eps: 1}",
    "dataset: {center: [[0, 1]], labels: [0], eps: 1, rows: a}",
    "dataset: {center: [[0, 1]], labels: [0], eps: 1, rows: []}",
    "dataset: {center: [[0, 1]], labels: [0], eps: 1, epz: 1}",
    "dataset: {center: [[0, 1]], labels: [0], eps: 1}\nregion: {all: 1}",
    "dataset: {center: [[0, 1]], labels: [0], eps: 1}\nnever: 'y[0]>1'\nalways: 'y[0]>1'",
    "never: y[0] > 1\nname: ../a\nregion: {all: 1}",
]


def _strings(text: str) -> Any:
    return yaml.load(text, Loader=yaml.BaseLoader)  # every scalar a string


def test_the_schema_is_one() -> None:
    VALIDATOR.check_schema(SCHEMA)


@pytest.mark.parametrize("text", GOOD)
def test_both_accept(text: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    assert read(tmp_path / "spec.yaml", GRAPH).properties
    VALIDATOR.validate(_strings(text))
    VALIDATOR.validate(yaml.safe_load(text))  # what editors see


@pytest.mark.parametrize("text", MALFORMED)
def test_both_refuse(text: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(AbsintError):
        read(tmp_path / "spec.yaml", GRAPH)
    assert not VALIDATOR.is_valid(_strings(text))


def test_float32_is_a_word_of_the_language(tmp_path: Path) -> None:
    text = "semantics: float32\nregion: {all: 1}\nnever: y[0] > 1"
    (tmp_path / "spec.yaml").write_text(text)
    VALIDATOR.validate(_strings(text))
    spec = read(tmp_path / "spec.yaml", GRAPH)
    assert spec.properties[0].semantics.name == "float32"


def test_words_that_are_no_names() -> None:
    assert set(SCHEMA["$defs"]["name"]["not"]["enum"]) == names.KEYWORDS
