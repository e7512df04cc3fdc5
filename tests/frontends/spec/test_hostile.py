"""Files made to hurt: each ends in an InputError, quickly, or is read for what it is."""

import gzip
import hashlib
import io
import random
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from absint.frontends.spec import read
from absint.ir import Graph, Port
from absint.problem import AbsintError, InputError

GRAPH = Graph((), (Port("x", 0, (2,)),), (Port("y", 1, (2,)),))
GOOD = "region:\n  all: [0, 0.5]\nnever: y[0] > y[1]\n"


def _bomb(levels: int) -> str:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for level in range(1, levels):
        refs = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{refs}]")
    return "\n".join(lines)


HOSTILE = {
    "alias bomb": (_bomb(12), "6:5: more than 1000000 nodes after expanding aliases"),
    "self alias": ("region: &r {all: *r}", "1:18: no complete node has the anchor '&r'"),
    "unknown alias": ("region: *r", "1:9: no complete node has the anchor '&r'"),
    "deep flow": ("region: " + "[" * 5000, "nested more than 32 deep"),
    "deep block": ("\n".join(" " * i + "a:" for i in range(400)), "32:32: nested more than 32"),
    "huge exponent": ("region: {all: 1e999999999}\nnever: y[0] > 1", "1:15: exponent out of"),
    "long exponent": (f"region: {{all: 1e{'9' * 900}}}\nnever: y[0] > 1", "1:15: exponent out"),
    "long number": (f"region: {{all: {'9' * 20000}}}\nnever: y[0] > 1", "1:15: longer than 1000"),
    "nan": ("region: {all: nan}\nnever: y[0] > 1", "1:15: not a number: 'nan'"),
    "tab": ("region:\n\tall: 1", "2:1: not well-formed: a tab where only spaces may stand"),
    "control": ("region: \x07", "1:9: the character '\\x07' is not allowed"),
    "tag": ("region: !!python/object/apply:os.system [ls]", "1:9: tags are not used in specs"),
    "merge key": ("b: &b {all: 1}\nregion:\n  <<: *b", "1:1: unknown key 'b'"),
    "two documents": (GOOD + "---\n" + GOOD, "4:1: a second document"),
    "empty": ("", "the file is empty"),
    "comment": ("# nothing\n", "the file is empty"),
    "complex key": ("? [a]\n: b", "1:3: a key must be a plain word"),
    "unclosed": ("region: {all: 1", "not well-formed"),
    "lone quote": ('never: "y[0]', "not well-formed"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_text(name: str, tmp_path: Path) -> None:
    text, message = HOSTILE[name]
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read(path, GRAPH)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe" + GOOD.encode("utf-16-le"), "1: not UTF-8 text"),
        (b"region:\n  all: \xe9", "2: not UTF-8 text"),
        (b"\x00\x01\x02", "not a text file"),
        (b"\x7fELF" + bytes(100), "not a text file"),
    ],
)
def test_binary(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "spec.yaml", GRAPH)


def test_aliases_are_read(tmp_path: Path) -> None:
    text = "inputs: {a: &r [0, 1], b: *r}\nnever: y[0] > 1"
    (tmp_path / "spec.yaml").write_text(text)
    box = read(tmp_path / "spec.yaml", GRAPH).properties[0].cells[0].box
    assert box.upper == (1, 1)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_mark(end: str, mark: bytes, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(mark + GOOD.replace("\n", end).encode())
    spec = read(path, GRAPH)
    assert spec.properties[0].cells[0].box.upper == (Fraction(1, 2),) * 2
    assert spec.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(mark + GOOD.replace("\n", end).replace("y[1]", "z[1]").encode())
    with pytest.raises(InputError, match=r":3:15: unknown name 'z'"):
        read(path, GRAPH)


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text('{\n\t"region": {"all": [0, 5e-1]},\n\t"never": "y[0] > \\u0079[1]"\n}')
    assert read(path, GRAPH).properties[0].cells[0].box.upper == (Fraction(1, 2),) * 2
    path.write_text('{\n\t"regoin": {"all": [0, 5e-1]}}')
    with pytest.raises(InputError, match=r":2:2: unknown key 'regoin'; did you mean 'region'\?"):
        read(path, GRAPH)


def test_gzip(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml.gz").write_bytes(
        gzip.compress(GOOD[:9].encode()) + gzip.compress(GOOD[9:].encode())
    )
    spec = read(tmp_path / "spec.yaml", GRAPH)
    assert spec == read(tmp_path / "spec.yaml.gz", GRAPH)
    assert spec.digest == hashlib.sha256(GOOD.encode()).hexdigest()
    assert spec.properties[0].name == "spec"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"# " * (20 << 20), mtime=0), "larger than 16777216 bytes"),
        (gzip.compress(GOOD.encode(), mtime=0)[:-9], "end too early"),
        (b"plain text", "not a gzip file"),
        (gzip.compress(GOOD.encode(), mtime=0) + b"tail", "not a gzip file"),
    ],
)
def test_bad_gzip(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml.gz").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "spec.yaml.gz", GRAPH)


def test_digest_covers_referred_files(tmp_path: Path) -> None:
    text = "region: {center: data/c.npy, eps: 1}\nnever: y[0] > 1\n"
    (tmp_path / "data").mkdir()
    (tmp_path / "spec.yaml").write_text(text)
    np.save(tmp_path / "data" / "c.npy", np.zeros(2))
    content = (tmp_path / "data" / "c.npy").read_bytes()
    framed = b"\0data/c.npy\0" + len(content).to_bytes(8, "big") + content
    spec = read(tmp_path / "spec.yaml", GRAPH)
    assert spec.digest == hashlib.sha256(text.encode() + framed).hexdigest()
    assert spec.sources.files == ("data/c.npy",)


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("shape", "message"),
    [("(10000000000000000,)", "does not fit its shape"), ("(-2,)", "does not fit|not an array")],
)
def test_array_header_that_lies(shape: str, message: str, tmp_path: Path) -> None:
    data = _npy(np.zeros(2)).replace(b"(2,)", shape.encode())
    (tmp_path / "c.npy").write_bytes(data)
    (tmp_path / "spec.yaml").write_text("region: {center: c.npy, eps: 1}\nnever: y[0] > 1")
    with pytest.raises(InputError, match=message):
        read(tmp_path / "spec.yaml", GRAPH)


def test_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from absint.frontends.spec import arrays

    monkeypatch.setattr(arrays, "MAX_FILE_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "c.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", _npy(np.zeros(1 << 18)))
    (tmp_path / "spec.yaml").write_text("region: {center: c.npz, eps: 1}\nnever: y[0] > 1")
    with pytest.raises(InputError, match="array 'a' is larger than 1048576 bytes"):
        read(tmp_path / "spec.yaml", GRAPH)


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_flipped_bytes_of_arrays(kind: str, tmp_path: Path) -> None:
    """Every mutant is read or refused by an error of ours."""
    rng = random.Random(1)
    path = tmp_path / f"c.{kind}"
    if kind == "npy":
        np.save(path, np.array([1.5, 2.5], dtype=np.float32))
    else:
        np.savez_compressed(path, a=np.array([1.5, 2.5], dtype=np.float32))
    (tmp_path / "spec.yaml").write_text(f"region: {{center: c.{kind}, eps: 1}}\nnever: y[0] > 1")
    good = path.read_bytes()
    refused = 0
    for _ in range(300):
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(data[: rng.choice([len(data), rng.randrange(len(data))])]))
        try:
            read(tmp_path / "spec.yaml", GRAPH)
        except AbsintError:
            refused += 1
    assert refused > 100


def test_float_arrays_are_exact(tmp_path: Path) -> None:
    values = np.array([0.1, np.nextafter(np.float32(0), np.float32(1))], dtype=">f4")
    np.save(tmp_path / "c.npy", values)
    (tmp_path / "spec.yaml").write_text("region: {center: c.npy, eps: 0}\nnever: y[0] > 1")
    box = read(tmp_path / "spec.yaml", GRAPH).properties[0].cells[0].box
    assert box.lower == box.upper == (Fraction(13421773, 2**27), Fraction(1, 2**149))


def test_arrays_in_column_order(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", np.asfortranarray([[1, 2], [3, 4]]))
    (tmp_path / "spec.yaml").write_text("region: {center: 'c.npy[1]', eps: 0}\nnever: y[0] > 1")
    assert read(tmp_path / "spec.yaml", GRAPH).properties[0].cells[0].box.lower == (3, 4)
