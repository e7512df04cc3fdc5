"""Modules and exported programs, lowered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from absint.frontends.onnx.values import MalformedError
from absint.frontends.torch.export import export
from absint.frontends.torch.lower import lower
from absint.ir import Graph
from absint.problem.errors import InputError, UnsupportedError


def lower_module(module: Any, args: Sequence[Any]) -> Graph:
    """The graph of ``module`` (a ``torch.nn.Module``, in eval mode) for inputs like ``args``.

    Integer tensors among ``args`` become inputs of an integer type, such as tokens.

    Raises:
        InputError: the module cannot be exported, or is not valid.
        UnsupportedError: everything in it that is not supported.
    """
    try:
        graph, unsupported = lower(export(module, args))
    except MalformedError as error:
        raise InputError(str(error)) from error
    if graph is None:
        raise UnsupportedError(unsupported)
    return graph
