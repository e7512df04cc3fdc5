"""Every kind of model that can be given: ONNX files, PyTorch modules, lowered graphs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from absint.frontends.onnx import Inspection
from absint.frontends.onnx import inspect as inspect_onnx
from absint.frontends.onnx import load as load_onnx
from absint.frontends.torch.source import is_torch
from absint.ir import Graph, GraphFormatError, digest, from_bytes
from absint.ir.serialize import MAGIC
from absint.problem.errors import InputError

if TYPE_CHECKING:
    from absint.frontends.torch import TorchInspection


class Model(Protocol):
    """What every kind has in common. ``digest`` is what a certificate binds."""

    @property
    def path(self) -> Path: ...

    @property
    def graph(self) -> Graph: ...

    @property
    def digest(self) -> str: ...


@dataclass(frozen=True, eq=False)
class StoredGraph:
    """A lowered graph, as ``absint inspect --graph`` writes it."""

    path: Path
    graph: Graph
    digest: str


def load(model: Any, *, trusted: bool = True) -> Model:
    """``model``: the path of an ONNX file or of a lowered graph, ``package.module:factory``, the
    path of a ``.pt2`` file, a ``torch.nn.Module``, or a pair of one with its example inputs.

    ``trusted``: whether the model's own code may be executed, which all but the first two need.

    Raises:
        InputError: it cannot be read, is wrong, or executes code and is not trusted.
        UnsupportedError: everything in the model that is not supported.
    """
    if not isinstance(model, str | Path):
        _require_trust(trusted, type(model).__name__)
        return _from_object(model)
    if is_torch(str(model)):
        _require_trust(trusted, str(model))
        from absint.frontends.torch import load as load_torch

        return load_torch(model)
    return _from_file(Path(model))


def inspect(model: str | Path, *, trusted: bool = True) -> Inspection | TorchInspection:
    """Describes a model; what is not supported is listed, not raised. Raises InputError."""
    if not is_torch(str(model)):
        return inspect_onnx(model)
    _require_trust(trusted, str(model))
    from absint.frontends.torch import inspect as inspect_torch

    return inspect_torch(model)


def _require_trust(trusted: bool, name: str) -> None:
    if not trusted:
        raise InputError(
            "loading it executes code, which is refused here; check takes its graph instead, which "
            "'absint inspect MODEL --graph FILE' writes",
            name,
        )


def _from_object(model: Any) -> Model:
    from absint.frontends.torch import load_module

    module, args = model if isinstance(model, tuple) and len(model) == 2 else (model, None)
    if not (hasattr(module, "forward") and hasattr(module, "state_dict")):
        raise InputError(f"{type(module).__name__} is no path and no torch.nn.Module")
    return load_module(module, args)


def _from_file(path: Path) -> Model:
    try:
        with path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                return load_onnx(path)
            data = MAGIC + stream.read()
    except OSError:
        return load_onnx(path)  # which tries other names and says what is wrong
    try:
        graph = from_bytes(data)
    except GraphFormatError as error:
        raise InputError(str(error), str(path)) from error
    return StoredGraph(path, graph, digest(graph))
