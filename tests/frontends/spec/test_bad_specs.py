"""Wrong specs: one line each, with the exact line and column, and no other exception."""

import re
from pathlib import Path

import numpy as np
import pytest

from absint.frontends.spec import read
from absint.ir import Graph, Port
from absint.problem import AbsintError, InputError, UnsupportedError

GRAPH = Graph((), (Port("state", 0, (1, 2)),), (Port("score", 1, (1, 3)),))
OK = "region: {all: [0, 1]}\n"

BAD = [
    ("region: {all: [0, 1]}\nnevr: y[0] > 1", "2:1: unknown key 'nevr'; did you mean 'never'?"),
    ("region: {center: 0, epz: 1}\nnever: y[0] > 1",
     "1:21: unknown key 'epz'; did you mean 'eps'?"),
    (OK + "never: y[0] > 1\nnever: y[1] > 1", "3:1: duplicate key 'never'"),
    ("- a\n- b", "1:1: a spec is a mapping of keys to values"),
    ("never: y[0] > 1", "1:1: no region: give 'region', or ranges under 'inputs'"),
    (OK, "1:1: a property needs 'never' or 'always', one of them"),
    (OK + "never: y[0] > 1\nalways: y[1] > 1", "1:1: a property needs 'never' or 'always'"),
    (OK + "never: y[0] >> 1", "2:14: expected a value, found '>'"),
    (OK + "never: 'y[0] > oops'", "2:16: unknown name 'oops'"),
    (OK + "never:\n  - y[0] > 1\n  - y[9] > 1", "4:5: 'y': index 9 is not in 0..2"),
    (OK + "never: >\n  y[0] > 1\n  and y[1] < bad", "4:14: unknown name 'bad'"),
    (OK + "never: |\n  y[0] > 1 or\n    y[0]*y[1] > 2", "4:9: not linear"),
    (OK + 'never: "y[0] > 1\n  and y[1] < bad"', "3:14: unknown name 'bad'"),
    ("inputs: [rho, theta]\nregion: {all: 0}\nnever: rhoo > y[0]",
     "3:8: unknown name 'rhoo'; did you mean 'rho'?"),
    ("inputs: [rho]\n" + OK + "never: y[0] > 1", "1:9: inputs: 1 names, but the network has 2"),
    ("inputs: [rho, rho]\n" + OK + "never: y[0] > 1", "1:15: the name 'rho' is used twice"),
    ("inputs: [rho, 2x]\n" + OK + "never: y[0] > 1", "1:15: '2x' is not a name"),
    ("inputs: [rho, argmax]\n" + OK + "never: y[0] > 1",
     "1:15: 'argmax' is a word of the language"),
    ("inputs: [a, b]\noutputs: [c, d, a]\n" + OK + "never: c > 1", "2:10: 'a' names an input and"),
    ("inputs: {a: [0, 1], b: }\nnever: y[0] > 1", "1:1: input 1 ('b') has no range"),
    ("region: {x[0]: 1}\nnever: y[0] > 1",
     "1:11: not well-formed: did not find expected ',' or '}'; inside [...] and {...}, text with"),
    ("region:\n  x[0]: [0, 1]\nnever: y[0] > 1", "2:3: input 1 has no range"),
    ("region:\n  x[0]: [0, 1]\n  x[0..1]: 2\nnever: y[0] > 1",
     "3:3: input 0 has a range already, by 'x[0]'"),
    ("region:\n  x[0..2]: [0, 1]\nnever: y[0] > 1", "2:3: 'x': index 2 is not in 0..1"),
    ("region:\n  x[1..0]: [0, 1]\nnever: y[0] > 1", "2:3: the range 1..0 is empty"),
    ("region:\n  y[0]: [0, 1]\nnever: y[0] > 1", "2:3: 'y[0]' is an output, not an input"),
    ("region: {all: [1, 0.5]}\nnever: y[0] > 1", "1:15: all: lower bound 1 above upper bound 0.5"),
    ("region: {all: [1, 2, 3]}\nnever: y[0] > 1", "1:15: all: a range is [lower, upper]"),
    ("region: {all: [0, one]}\nnever: y[0] > 1", "1:19: not a number: 'one'"),
    ("region: {all: [0, .nan]}\nnever: y[0] > 1", "1:19: not a number: '.nan'"),
    ("region: {all: [0, inf]}\nnever: y[0] > 1", "1:19: not a number: 'inf'"),
    ("region: {all: [0, 1e999999999]}\nnever: y[0] > 1", "1:19: exponent out of range"),
    ("region: {all: [0, 1/0]}\nnever: y[0] > 1", "1:19: division by zero"),
    ("region: {all: [0, 1e39]}\nnever: y[0] > 1", "1:9: input 0: a bound does not fit float32"),
    ("region: {all: 1 ± -2}\nnever: y[0] > 1", "1:15: all: the radius is negative"),
    ("region: {all: [0, 1], center: 1, eps: 1}\nnever: y[0] > 1",
     "1:23: 'center' and 'all' both give all inputs a range"),
    ("region: {center: [1, 2, 3], eps: 1}\nnever: y[0] > 1",
     "1:18: center has 3 values where 2 belong"),
    ("region: {center: 1}\nnever: y[0] > 1", "1:10: center needs 'eps'"),
    ("region: {eps: 1}\nnever: y[0] > 1", "1:10: 'eps' needs 'center'"),
    ("region: {lower: 1}\nnever: y[0] > 1", "1:10: 'lower' needs 'upper'"),
    ("region: {lower: [0, 2], upper: 1}\nnever: y[0] > 1",
     "1:10: input 1: lower bound 2 above upper bound 1"),
    ("region: {center: 1, eps: -1}\nnever: y[0] > 1", "1:26: eps is negative"),
    ("region: {center: 5, eps: 1, clip: [0, 1]}\nnever: y[0] > 1",
     "1:10: empty region: center ± eps of input 0 lies outside clip"),
    ("region: {center: 5, eps: 1, norm: l3}\nnever: y[0] > 1", "1:35: unknown value 'l3'"),
    ("region:\n  all: [0, 1]\n  where: x[0] + x[1] >= 3\nnever: y[0] > 1",
     "2:3: empty region: no input satisfies 'where'"),
    ("region:\n  all: [0, 1]\n  where: x[0] > x[1] and x[0] < x[1]\nnever: y[0] > 1",
     "2:3: empty region: no input satisfies 'where'"),
    ("region:\n  all: [0, 1]\n  where: x[0] > 0 or x[1] > 0\nnever: y[0] > 1",
     "3:10: where takes no 'or'"),
    ("region:\n  all: [0, 1]\n  where: x[0] > y[0]\nnever: y[0] > 1",
     "3:10: where speaks of inputs only"),
    ("region:\n  any_of:\n    - all: 1\n    - any_of: []\nnever: y[0] > 1",
     "4:7: any_of inside any_of"),
    ("region: {any_of: []}\nnever: y[0] > 1", "1:18: any_of: the list is empty"),
    (OK + "never: y[0] > 1 and y[0] < 1", "2:8: this is never true, whatever the network does"),
    (OK + "always: y[0] > 1 or y[0] <= 1", "2:9: this is always true, whatever the network does"),
    (OK + "never: 1 < 2", "2:8: this is always true, whatever the network does"),
    (OK + "never: argmax is 0 and argmax is 1", "2:8: this is never true"),
    (OK + "never: ['y[0] > 1', 'y[1] > 2 and y[1] < 2']", "2:21: this is never true"),
    (OK + "never: x[0] > 1/2", "2:8: this speaks of no output"),
    (OK + "never: " + " and ".join(f"(argmax is 0 or y[0] > y[1] + {k})" for k in range(14)),
     "2:8: the condition expands to more than 10000"),
    (OK + "decoder: {steps: 3}\nnever: y[0] > 1",
     "2:1: unknown key 'decoder'; did you mean 'decode'?"),
    (OK + "semantics: rael\nnever: y[0] > 1",
     "2:12: unknown value 'rael'; did you mean 'real'? (semantics is real or float32)"),
    (OK + "input_values: both\nnever: y[0] > 1", "2:15: unknown value 'both'"),
    ("input_values: representable\nregion: {all: 0.1}\nnever: y[0] > 1",
     "1:1: empty region: spec: no float32 lies between"),
    (OK + "normalize: {mean: 0}\nnever: y[0] > 1", "2:12: normalize needs 'std'"),
    (OK + "normalize: {mean: 0, std: 0}\nnever: y[0] > 1", "2:27: std is positive"),
    (OK + "normalize: {mean: [1, 2, 3], std: 1}\nnever: y[0] > 1", "2:19: mean has 3 values"),
    (OK + "properties: {}", "2:13: properties: the mapping is empty"),
    (OK + "properties:\n  a/b: {never: 'y[0] > 1'}", "3:3: 'a/b' is not a property's name"),
    (OK + "properties:\n  a: {nevr: 'y[0] > 1'}", "3:7: unknown key 'nevr'; did you mean 'never'?"),
    (OK + "properties:\n  - never: y[0] > 1\n  - never: y[1] > 1",
     "3:5: a property of several needs a 'name'"),
    (OK + "properties:\n  - {name: a, never: 'y[0] > 1'}\n  - {name: a, never: 'y[1] > 1'}",
     "4:12: duplicate property 'a'"),
    (OK + "properties: {a: {never: 'y[0] > 1'}}\nnever: y[0] > 1",
     "3:1: 'never' does not go together with 'properties'"),
    ("dataset: {}", "1:10: dataset needs 'center'"),
    ("dataset: {center: [[0, 1]], eps: 0}\n", "1:10: dataset needs 'labels', or a condition"),
    ("dataset: {center: [[0, 1]], labels: [0, 1], eps: 0}\n", "1:37: 2 labels for 1 rows"),
    ("dataset: {center: [[0, 1]], labels: [5], eps: 0}\n", "1:37: label 5 is not in 0..2"),
    ("dataset: {center: [[0, 1]], labels: [0], eps: 0, rows: 0..3}\n",
     "1:56: rows are ranges within 0..0"),
    ("dataset: {center: [[0, 1], [0]], labels: [0, 1], eps: 0}\n",
     "1:28: row 1 has 1 values where 2 belong"),
    ("dataset: {center: [[0, 1]], labels: [0], eps: 0}\n" + OK,
     "2:1: 'region' does not go together with 'dataset'"),
    ("region: {center: ../up.npy, eps: 1}\nnever: y[0] > 1",
     "1:18: '../up.npy' is not a path inside the spec's folder"),
    ("region: {center: /etc/up.npy, eps: 1}\nnever: y[0] > 1",
     "1:18: '/etc/up.npy' is not a path inside the spec's folder"),
    ("region: {center: link.npy, eps: 1}\nnever: y[0] > 1", "1:18: 'link.npy' leads out of"),
    ("region: {center: nan.npy, eps: 1}\nnever: y[0] > 1", "1:18: nan.npy: it holds NaN"),
    ("region: {center: text.npy, eps: 1}\nnever: y[0] > 1", "1:18: text.npy: not an array file"),
    ("region: {center: objects.npy, eps: 1}\nnever: y[0] > 1",
     "1:18: objects.npy: it holds object"),
    ("region: {center: cut.npy, eps: 1}\nnever: y[0] > 1",
     "1:18: cut.npy: its length does not fit"),
    ("region: {center: two.npz, eps: 1}\nnever: y[0] > 1", "1:18: two.npz: no array None in it"),
    ("region: {center: 'two.npz:c', eps: 1}\nnever: y[0] > 1",
     "1:18: two.npz: no array 'c' in it; it has a, b"),
    ("region: {center: 'rows.npy[9]', eps: 1}\nnever: y[0] > 1",
     "1:18: rows.npy: index 9 is out of range"),
    ("region: {center: rows.npy, eps: 1}\nnever: y[0] > 1", "1:18: center has 6 values where 2"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "specs"
    inside.mkdir()
    np.save(tmp_path / "up.npy", np.zeros(2))
    (inside / "link.npy").symlink_to(tmp_path / "up.npy")
    np.save(inside / "nan.npy", np.array([0, np.nan]))
    np.save(inside / "objects.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    np.save(inside / "rows.npy", np.zeros((3, 2)))
    np.savez(inside / "two.npz", a=np.zeros(2), b=np.zeros(2))
    (inside / "text.npy").write_text("hello")
    (inside / "cut.npy").write_bytes((inside / "rows.npy").read_bytes()[:-1])
    return inside


@pytest.mark.parametrize(("text", "expected"), BAD, ids=[e.split(": ", 1)[0] for _, e in BAD])
def test_place_and_message(text: str, expected: str, folder: Path) -> None:
    path = folder / "spec.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read(path, GRAPH)
    message = str(caught.value)
    assert message.startswith(f"{path}:{expected}")
    assert "\n" not in message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("region: {center: 0, eps: 1, norm: l2}\nnever: y[0] > 1", "1:35: norm l2"),
    ],
)
def test_not_supported_yet(text: str, expected: str, folder: Path) -> None:
    path = folder / "spec.yaml"
    path.write_text(text)
    with pytest.raises(UnsupportedError, match=re.escape(f"{path}:{expected}")) as caught:
        read(path, GRAPH)
    assert caught.value.exit_code == 4


def test_integer_inputs_are_not_supported(folder: Path) -> None:
    graph = Graph((), (Port("ids", 0, (2,), "int64"),), GRAPH.outputs)
    (folder / "spec.yaml").write_text(OK + "never: y[0] > 1")
    with pytest.raises(UnsupportedError, match="ids: int64"):
        read(folder / "spec.yaml", graph)


@pytest.mark.parametrize("name", ["none.yaml", "spec.txt", "spec", "specs"])
def test_unreadable_paths(name: str, folder: Path) -> None:
    (folder / "spec.txt").write_text(OK)
    with pytest.raises(AbsintError, match=re.escape(name)):
        read(folder.parent / name if name == "specs" else folder / name, GRAPH)
