"""Reads a spec file of any kind."""

from __future__ import annotations

from pathlib import Path

from absint.frontends.spec.files import ReferredFiles, decode, digest, find, read_bytes, stem
from absint.frontends.spec.types import Sources, Spec
from absint.ir import Graph
from absint.problem import InputError, Meaning

MAX_YAML_BYTES = 16 << 20
MAX_VNNLIB_BYTES = 256 << 20
_YAML = (".yaml", ".yml", ".json")


def read(path: str | Path, graph: Graph, asked: Meaning | None = None) -> Spec:
    """Reads a spec for ``graph``: YAML or JSON (docs/spec.md), or VNN-LIB 1.0 and 2.0.

    ``asked``: what the network means where the spec does not say; not to contradict it.

    The kind follows from the suffix, before ``.gz`` if there is one. Where ``path`` does not exist
    and ``path.gz`` does, that is read.

    Raises:
        InputError: the file cannot be read or is wrong, with line and column.
        UnsupportedError: a construct that is not supported, with line and column.
    """
    place = find(Path(path))
    suffix = Path(place.name.removesuffix(".gz")).suffix.lower()
    if suffix in _YAML:
        return _read_yaml(place, graph, asked)
    if suffix == ".vnnlib":
        return _read_vnnlib(place, graph, asked)
    raise InputError("not a spec: the name ends in .yaml, .yml, .json or .vnnlib", str(place))


def _read_yaml(path: Path, graph: Graph, asked: Meaning | None) -> Spec:
    from absint.frontends.spec.document import read_document

    data = read_bytes(path, MAX_YAML_BYTES)
    files = ReferredFiles(path.parent)
    document = read_document(decode(data, path), path, graph, files, asked)
    names = tuple(sorted(files.contents))
    return Spec(
        document.properties,
        digest(data, files.contents),
        Sources(str(path), names, document.input_names, document.output_names, document.scale),
        document.dataset,
    )


def _read_vnnlib(path: Path, graph: Graph, asked: Meaning | None) -> Spec:
    from absint.frontends.vnnlib import read_problem

    data = read_bytes(path, MAX_VNNLIB_BYTES)
    problem = read_problem(decode(data, path), str(path), stem(path), graph, asked)
    return Spec((problem,), digest(data, {}), Sources(str(path)))
