"""Models that read tokens, at the length of each text: what a decode spec is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from absint.frontends import models
from absint.frontends.lowering.values import MalformedError, NotLoweredError
from absint.frontends.models import Model
from absint.frontends.onnx import OnnxModel, files
from absint.frontends.onnx import load as load_onnx
from absint.frontends.onnx.ports import declared
from absint.frontends.torch.source import is_torch
from absint.ir.serialize import MAGIC
from absint.problem.errors import InputError


class Network(Protocol):
    """A model whose one input is a text's tokens. ``digest`` is what a certificate binds."""

    @property
    def path(self) -> Path: ...

    @property
    def digest(self) -> str: ...

    @property
    def length(self) -> int | None:
        """How many tokens it reads; None: any number."""

    def at(self, length: int) -> Model:
        """The model for texts of ``length`` tokens. Raises InputError: it reads another number."""


def load(model: Any, name: str | None = None, *, trusted: bool = True) -> Network:
    """``model`` as for ``absint.frontends.models.load``; in an ONNX file the length may be open.

    ``name``: the input that takes the tokens; None: it is the only one.

    Raises InputError and UnsupportedError as ``models.load`` does, and InputError unless the tokens
    are the model's only input.
    """
    if isinstance(model, str | Path) and not is_torch(str(model)):
        found = _open(Path(model), name)
        if found is not None:
            return found
    return FixedNetwork(models.load(model, trusted=trusted), name)


@dataclass(frozen=True, eq=False)
class FixedNetwork:
    """A model for texts of one length."""

    model: Model
    name: str | None

    def __post_init__(self) -> None:
        _only([port.name for port in self.model.graph.inputs], self.name, self.path)

    @property
    def path(self) -> Path:
        return self.model.path

    @property
    def digest(self) -> str:
        return self.model.digest

    @property
    def length(self) -> int:
        return self.model.graph.input_size

    def at(self, length: int) -> Model:
        if length != self.length:
            raise InputError(f"reads {self.length} tokens, not {length}", str(self.path))
        return self.model


class OpenNetwork:
    """An ONNX file with a symbolic number of tokens, at ``axis`` (``input:1``)."""

    length = None

    def __init__(self, path: Path, digest: str, axis: str) -> None:
        self.path, self.digest, self._axis = path, digest, axis
        self._known: dict[int, OnnxModel] = {}

    def at(self, length: int) -> OnnxModel:
        if length not in self._known:
            self._known[length] = load_onnx(self.path, {self._axis: length})
        return self._known[length]


def _only(names: list[str], wanted: str | None, path: Path) -> None:
    """Raises InputError unless the tokens are the one input."""
    listed = ", ".join(map(repr, names))
    if wanted is not None and wanted not in names:
        raise InputError(f"has no input {wanted!r}: there is {listed}", str(path))
    if len(names) != 1:
        raise InputError(
            f"has {len(names)} inputs ({listed}); tokens must be the only one", str(path)
        )


def _open(path: Path, wanted: str | None) -> OpenNetwork | None:
    """The file at ``path``; None: its number of tokens is fixed, or it is no ONNX file.

    Raises InputError.
    """
    try:
        data = files.read(path)
        if data.startswith(MAGIC):
            return None
        proto = files.parse(data)
        constants = {tensor.name for tensor in proto.graph.initializer}
        infos = [info for info in proto.graph.input if info.name not in constants]
        _only([info.name for info in infos], wanted, path)
        extents = declared(infos[0]).extents
        if not extents or isinstance(extents[-1], int):
            return None
        _, digest = files.inline(proto, data, path.parent)
    except NotLoweredError:
        return None  # whose lowering says what is wrong
    except MalformedError as error:
        raise InputError(str(error), str(path)) from error
    return OpenNetwork(path, digest, f"{infos[0].name}:{len(extents) - 1}")
