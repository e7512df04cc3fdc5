"""Modules, factories and saved programs: loaded, lowered and described."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absint.frontends.lowering.tensors import TensorInfo
from absint.frontends.lowering.values import MalformedError
from absint.frontends.torch.export import export
from absint.frontends.torch.lower import lower
from absint.frontends.torch.source import Source, from_module, from_place
from absint.ir import Graph, digest
from absint.problem.errors import InputError, Unsupported, UnsupportedError


@dataclass(frozen=True, eq=False)
class TorchModel:
    """A module, lowered.

    ``digest`` is that of ``graph``, which holds the structure and all weights; ``module`` is what
    PyTorch runs.
    """

    path: Path
    graph: Graph
    digest: str
    module: Any


@dataclass(frozen=True, eq=False)
class TorchInspection:
    """What a module holds. ``graph`` and ``digest`` are None where ``unsupported`` is not empty."""

    path: Path
    digest: str | None
    producer: str
    ops: Mapping[str, int]
    """How many nodes of each aten op, in alphabetical order."""
    parameters: int
    """How many numbers the parameters hold."""
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    unsupported: tuple[Unsupported, ...]
    graph: Graph | None


def lower_module(module: Any, args: Sequence[Any]) -> Graph:
    """The graph of ``module`` (a ``torch.nn.Module``, in eval mode) for inputs like ``args``.

    Integer tensors among ``args`` become inputs of an integer type, such as tokens.

    Raises:
        InputError: the module cannot be exported, or is not valid.
        UnsupportedError: everything in it that is not supported.
    """
    return _required(_lower(export(module, args), type(module).__name__))


def load_module(module: Any, args: Sequence[Any] | None = None) -> TorchModel:
    """``module`` lowered for inputs like ``args``, or like its own ``example_inputs``.

    Raises InputError and UnsupportedError as ``lower_module`` does.
    """
    return _model(from_module(module, args))


def load(place: str | Path) -> TorchModel:
    """``package.module:factory`` or a saved ``.pt2`` file, lowered. Both execute code.

    Raises InputError and UnsupportedError as ``lower_module`` does.
    """
    return _model(from_place(str(place)))


def inspect(place: str | Path) -> TorchInspection:
    """Describes what ``load`` reads; what is not supported is listed, not raised.

    Raises InputError.
    """
    import torch

    source = from_place(str(place))
    program = source.program
    graph, unsupported = _lower(program, source.name)
    nodes = list(program.graph.nodes)
    ops = Counter(str(node.target) for node in nodes if node.op == "call_function")
    ops.pop("<built-in function getitem>", None)
    signature = program.graph_signature
    described = {node.name: _described(node) for node in nodes if "val" in node.meta}
    return TorchInspection(
        path=Path(source.name),
        digest=None if graph is None else digest(graph),
        producer=f"PyTorch {torch.__version__}",
        ops=dict(sorted(ops.items())),
        parameters=sum(program.state_dict[name].numel() for name in signature.parameters),
        inputs=tuple(described[n] for n in signature.user_inputs if n in described),
        outputs=tuple(described[n] for n in signature.user_outputs if n in described),
        unsupported=unsupported,
        graph=graph,
    )


def _described(node: Any) -> TensorInfo:
    meta = node.meta["val"]
    dtype = str(getattr(meta, "dtype", "no tensor")).removeprefix("torch.")
    return TensorInfo(node.name, dtype, tuple(getattr(meta, "shape", ())))


def _model(source: Source) -> TorchModel:
    graph = _required(_lower(source.program, source.name))
    return TorchModel(Path(source.name), graph, digest(graph), source.module)


def _lower(program: Any, name: str) -> tuple[Graph | None, tuple[Unsupported, ...]]:
    try:
        return lower(program)
    except MalformedError as error:
        raise InputError(str(error), name) from error


def _required(lowered: tuple[Graph | None, tuple[Unsupported, ...]]) -> Graph:
    graph, unsupported = lowered
    if graph is None:
        raise UnsupportedError(unsupported)
    return graph
