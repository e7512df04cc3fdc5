"""Model files: gzip, external tensors, limits, digests."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxmodels import Array, model, saved, whole

from absint.frontends.onnx import files, load
from absint.frontends.runtime import OnnxRuntime
from absint.ir import digest as graph_digest
from absint.ir import evaluate
from absint.problem import InputError

WEIGHT = whole(1, 3, 4)


def plain() -> onnx.ModelProto:
    return model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [1, 3]}, ["y"], {"w": WEIGHT}
    )


def external(location: str, shape: tuple[int, ...] = (3, 4), **entries: int) -> onnx.ModelProto:
    """The same model, with its weight in another file."""
    proto = plain()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.dims[:] = shape
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return proto


def data(folder: Path, name: str = "w.bin", array: Array = WEIGHT, before: bytes = b"") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(before + array.tobytes())
    return path


def test_the_digest_is_that_of_the_decompressed_file(tmp_path: Path) -> None:
    raw = plain().SerializeToString()
    (tmp_path / "a.onnx").write_bytes(raw)
    (tmp_path / "b.onnx.gz").write_bytes(gzip.compress(raw))
    expected = hashlib.sha256(raw).hexdigest()
    for name in ("a.onnx", "b.onnx.gz", "b.onnx"):
        loaded = load(tmp_path / name)
        assert (loaded.digest, loaded.proto_bytes) == (expected, raw)


@pytest.mark.parametrize("name", ["w.bin", "sub/w.bin"])
def test_external_tensors(name: str, tmp_path: Path) -> None:
    data(tmp_path, name, before=b"\0" * 16)
    inside, outside = plain(), external(name, offset=16, length=48)
    loaded = load(saved(outside, tmp_path))
    reference = load(saved(inside, tmp_path, "inside.onnx"))
    assert graph_digest(loaded.graph) == graph_digest(reference.graph)
    x = whole(3, 5, 3, dtype="float64")
    assert np.array_equal(OnnxRuntime(loaded).run(x), evaluate(reference.graph, x))
    raw = outside.SerializeToString()
    assert loaded.digest == hashlib.sha256(raw + WEIGHT.tobytes()).hexdigest()


def test_one_bit_of_an_external_tensor_changes_the_digest(tmp_path: Path) -> None:
    path = data(tmp_path)
    model_path = saved(external("w.bin"), tmp_path)
    before = load(model_path).digest
    flipped = bytearray(path.read_bytes())
    flipped[5] ^= 1
    path.write_bytes(flipped)
    assert load(model_path).digest != before


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    data(tmp_path, "real.bin")
    os.symlink("real.bin", tmp_path / "w.bin")
    load(saved(external("w.bin"), tmp_path))


def escape(folder: Path) -> None:
    data(folder.parent, "secret.bin")
    os.symlink(folder.parent / "secret.bin", folder / "link.bin")
    os.symlink(folder.parent, folder / "up")


@pytest.mark.parametrize(
    ("location", "entries", "message"),
    [
        ("../secret.bin", {}, "leaves the model's folder"),
        ("a/../../secret.bin", {}, "leaves the model's folder"),
        ("..\\secret.bin", {}, "leaves the model's folder"),
        ("/etc/passwd", {}, "relative path"),
        ("C:\\secret.bin", {}, "relative path"),
        ("", {}, "relative path"),
        ("a\0b", {}, "relative path"),
        ("link.bin", {}, "through a link"),
        ("up/secret.bin", {}, "through a link"),
        ("missing.bin", {}, "no such file"),
        ("sub", {}, "not a regular file"),
        ("pipe", {}, "not a regular file"),
        ("w.bin", {"offset": 1}, "ends early"),
        ("w.bin", {"offset": -4}, "malformed offset"),
        ("w.bin", {"length": 47}, "48 are needed"),
        ("w.bin", {"shape": (1 << 30, 1 << 30)}, "more than"),
        ("w.bin", {"shape": (-3, 4)}, "negative extent"),
        ("w.bin", {"shape": (4, 4)}, "ends early"),
    ],
)
def test_external_data_that_is_refused(
    location: str, entries: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    os.mkfifo(folder / "pipe")
    data(folder)
    escape(folder)
    path = saved(external(location, **entries), folder)
    with pytest.raises(InputError, match=message) as caught:
        load(path)
    assert "tensor 'w'" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_external_data_of_a_constant_node(tmp_path: Path) -> None:
    data(tmp_path)
    tensor = external("w.bin").graph.initializer[0]
    nodes = [
        helper.make_node("Constant", [], ["w"], value=tensor),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    loaded = load(saved(model(nodes, {"x": [1, 3]}, ["y"]), tmp_path))
    assert np.array_equal(loaded.graph.nodes[1].consts["weight"].value, WEIGHT)


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value).splitlines()) == 1


def test_paths_that_are_no_model(tmp_path: Path) -> None:
    refused(tmp_path / "nothing.onnx", "no such file")
    refused(tmp_path, "not a regular file")
    os.mkfifo(tmp_path / "pipe.onnx")
    refused(tmp_path / "pipe.onnx", "not a regular file")


def test_damaged_gzip(tmp_path: Path) -> None:
    packed = gzip.compress(plain().SerializeToString())
    path = tmp_path / "m.onnx.gz"
    for damaged in (
        packed[:-10],
        packed[:20],
        packed + b"trailing",
        packed[:30] + b"!!" + packed[32:],
    ):
        path.write_bytes(damaged)
        refused(path, "gzip")


def test_gzip_expansion_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FREE_BYTES", 1 << 16)
    path = tmp_path / "bomb.onnx.gz"
    path.write_bytes(gzip.compress(b"\0" * (1 << 20)))
    refused(path, "larger than")


def test_the_size_of_a_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data(tmp_path)
    whole_file, split_file = saved(plain(), tmp_path), saved(external("w.bin"), tmp_path, "s.onnx")
    monkeypatch.setattr(files, "MAX_BYTES", split_file.stat().st_size + 47)
    refused(split_file, "exceeds")
    monkeypatch.setattr(files, "MAX_BYTES", whole_file.stat().st_size - 1)
    refused(whole_file, "larger than")
