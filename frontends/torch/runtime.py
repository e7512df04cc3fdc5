"""PyTorch in eager mode on the CPU, on the flat vectors of ``absint.ir.Graph``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from absint.frontends.torch.export import evaluated
from absint.problem.errors import InputError

if TYPE_CHECKING:
    from absint.frontends.torch.model import TorchModel

FloatArray = NDArray[np.float64]


class TorchRuntime:
    """Runs the module itself, one row of inputs after another."""

    def __init__(self, model: TorchModel) -> None:
        import torch

        self._module, self._graph, self._path = model.module, model.graph, str(model.path)
        self.name = f"PyTorch {torch.__version__}"

    def run(self, x: FloatArray) -> FloatArray:
        """The outputs ``(batch, output_size)`` of flat inputs ``(batch, input_size)``, in float64.

        Raises:
            ValueError: wrong shape, or a value that the input's type cannot represent.
            InputError: the module fails.
        """
        if x.ndim != 2 or x.shape[1] != self._graph.input_size:
            raise ValueError(f"inputs of shape {x.shape}, not (batch, {self._graph.input_size})")
        if len(x) == 0:
            return np.zeros((0, self._graph.output_size))
        with evaluated(self._module):
            return np.stack([self._row(row) for row in x])

    def _row(self, row: FloatArray) -> FloatArray:
        import torch

        try:
            outputs = self._module(*self._arguments(row))
        except Exception as error:  # the module's own code may raise anything
            line = " ".join(str(error).split())[:200]
            raise InputError(f"PyTorch fails: {line}", self._path) from error
        leaves = torch.utils._pytree.tree_leaves(outputs)
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        flat = np.concatenate([t.detach().cpu().double().numpy().reshape(-1) for t in tensors])
        if flat.size != self._graph.output_size:
            raise InputError(f"PyTorch gives {flat.size} outputs, not {self._graph.output_size}")
        return flat

    def _arguments(self, row: FloatArray) -> list[Any]:
        import torch

        arguments, places = [], self._graph.input_slices()
        for port in self._graph.inputs:
            part = np.asarray(row[places[port.node]], dtype=np.float64).reshape(port.shape)
            with np.errstate(over="ignore", invalid="ignore"):
                typed = part.astype(port.dtype)
            if not (typed.astype(np.float64) == part).all():
                raise ValueError(f"input {port.name!r} has a value that is no {port.dtype}")
            arguments.append(torch.from_numpy(typed))
        return arguments
