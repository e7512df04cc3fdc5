"""The real runtimes, on the CPU, on the flat vectors of ``absint.ir.Graph``.

What it computes is what a counterexample is replayed on; nothing here approximates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from absint.problem.errors import InputError

if TYPE_CHECKING:
    from absint.frontends.models import Model
    from absint.frontends.onnx import OnnxModel

FloatArray = NDArray[np.float64]
_FATAL = 4


class Runtime(Protocol):
    """What runs a model. ``name`` is the runtime's, with its version."""

    name: str

    def run(self, x: FloatArray) -> FloatArray:
        """Outputs ``(batch, output_size)`` of flat inputs ``(batch, input_size)``."""


def runtime(model: Model, *, optimised: bool = False) -> Runtime:
    """The runtime of ``model``; PyTorch's eager mode has no optimisations to switch on or off.

    Raises InputError for a lowered graph: no runtime but our own semantics reads it.
    """
    from absint.frontends.onnx import OnnxModel

    if isinstance(model, OnnxModel):
        return OnnxRuntime(model, optimised=optimised)
    from absint.frontends.torch import TorchModel
    from absint.frontends.torch.runtime import TorchRuntime

    if isinstance(model, TorchModel):
        return TorchRuntime(model)
    raise InputError("is a lowered graph: it can be checked, not run", str(model.path))


class OnnxRuntime:
    """One session of onnxruntime.

    Args:
        model: what ``absint.frontends.onnx.load`` gave.
        optimised: onnxruntime's default graph optimisations; by default it runs the graph as
            written (``ORT_DISABLE_ALL``).
        threads: how many threads one inference uses.

    Raises InputError where onnxruntime refuses the model.
    """

    def __init__(self, model: OnnxModel, *, optimised: bool = False, threads: int = 1) -> None:
        import onnxruntime as ort

        self._graph = model.graph
        self._batched = model.free_batch
        self.version: str = ort.__version__
        """onnxruntime's own version."""
        self.name = f"onnxruntime {self.version}"
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = _FATAL
        levels = ort.GraphOptimizationLevel
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
        )
        try:
            self._session: Any = ort.InferenceSession(
                model.proto_bytes, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions share no base class of their own
            raise InputError(f"onnxruntime refuses it: {_line(error)}", str(model.path)) from error

    def run(self, x: FloatArray) -> FloatArray:
        """The outputs ``(batch, output_size)`` of flat inputs ``(batch, input_size)``, in float64.

        Every row is an inference of its own, unless the model's leading extent is symbolic: then
        the rows run together, and may differ in their last bits from runs of one row. A replay
        should therefore pass one row.

        Raises:
            ValueError: wrong shape, or a value that the input's type cannot represent.
            InputError: onnxruntime fails on a single row.
        """
        if x.ndim != 2 or x.shape[1] != self._graph.input_size:
            raise ValueError(f"inputs of shape {x.shape}, not (batch, {self._graph.input_size})")
        if len(x) == 0:
            return np.zeros((0, self._graph.output_size))
        feeds = self._feeds(x)
        if self._batched and len(x) > 1:
            together = self._together(feeds, len(x))
            if together is not None:
                return together
            self._batched = False
        return np.stack([self._row(feeds, row) for row in range(len(x))])

    def _feeds(self, x: FloatArray) -> dict[str, NDArray[Any]]:
        """Each input with all rows on a new leading axis, in the type of its port."""
        feeds, places = {}, self._graph.input_slices()
        for port in self._graph.inputs:
            part = np.asarray(x[:, places[port.node]], dtype=np.float64)
            with np.errstate(over="ignore"):
                typed = part.astype(port.dtype)
            if not (typed.astype(np.float64) == part).all():
                raise ValueError(f"input {port.name!r} has a value that is no {port.dtype}")
            feeds[port.name] = typed.reshape((len(x), *port.shape))
        return feeds

    def _row(self, feeds: dict[str, NDArray[Any]], row: int) -> FloatArray:
        try:
            outputs = self._call({name: np.asarray(value[row]) for name, value in feeds.items()})
        except Exception as error:  # its exceptions share no base class of their own
            raise InputError(f"onnxruntime fails: {_line(error)}") from error
        flat = np.concatenate([np.asarray(y, dtype=np.float64).reshape(-1) for y in outputs])
        if flat.size != self._graph.output_size:
            raise InputError(
                f"onnxruntime gives {flat.size} outputs where the graph has "
                f"{self._graph.output_size}"
            )
        return flat

    def _together(self, feeds: dict[str, NDArray[Any]], batch: int) -> FloatArray | None:
        """All rows in one inference; None where the model does not take or keep a batch."""
        joined = {name: value.reshape((-1, *value.shape[2:])) for name, value in feeds.items()}
        try:
            outputs = self._call(joined)
        except Exception:  # a model may declare a free batch and still not run on one
            return None
        rows = [np.asarray(y, dtype=np.float64) for y in outputs]
        sizes = zip(rows, self._graph.outputs, strict=True)
        if any(y.shape[:1] != (batch,) or y.size != batch * port.size for y, port in sizes):
            return None
        return np.concatenate([y.reshape((batch, -1)) for y in rows], axis=1)

    def _call(self, feeds: dict[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        names = [port.name for port in self._graph.outputs]
        result: Sequence[NDArray[Any]] = self._session.run(names, feeds)
        return result


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
