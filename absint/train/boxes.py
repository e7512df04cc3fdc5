"""The certified loss of a network that reads numbers, over boxes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from absint.domains import interval
from absint.domains.interval import Interval
from absint.domains.linear import backward
from absint.domains.relaxation import Relaxation, relax
from absint.ir import OPS
from absint.train.loss import certified, margin_rows, worst_cross_entropy
from absint.train.parameters import Lower, Parametric


class BoxLoss:
    """Upper bounds of the worst cross-entropy over boxes, differentiable in the parameters.

    Intervals forward and one linear pass backward from the margins (CROWN-IBP, Zhang et al. 2020).
    ``lower`` makes of the module a graph with one output, of logits. Raises ValueError as
    ``Parametric`` does.
    """

    def __init__(self, module: nn.Module, lower: Lower) -> None:
        self.parametric = Parametric(module, lower)

    def margins(self, low: Tensor, high: Tensor, targets: Tensor) -> Tensor:
        """Upper bounds (batch, classes) of ``logit_k - logit_target`` on boxes (batch, inputs)."""
        graph, arrays = self.parametric.graph, self.parametric.arrays()
        relaxations: dict[int, Relaxation] = {}
        boxes: list[Interval] = []
        places = graph.input_slices()
        for position, node in enumerate(graph.nodes):
            if node.op == "input":
                ends = [end[:, places[position]].reshape((-1, *node.shape)) for end in (low, high)]
                boxes.append((ends[0], ends[1]))
                continue
            operands = [boxes[i] for i in node.inputs]
            if OPS[node.op].univariate is not None:
                relaxations[position] = relax(node, operands[0], arrays)
            boxes.append(interval.transform(node, operands, arrays))
        port = graph.outputs[0]
        rows = -margin_rows(port.size, targets, low)
        start = {port.node: rows.reshape((*rows.shape[:2], *port.shape))}
        linear = backward(graph, start, relaxations, {}, arrays)
        return -linear.minimum((low, high), arrays)  # type: ignore[no-any-return]

    def __call__(self, low: Tensor, high: Tensor, targets: Tensor) -> Tensor:
        """The mean over the boxes of a bound of the largest cross-entropy in each."""
        return worst_cross_entropy(self.margins(low, high, targets))

    def certified(self, low: Tensor, high: Tensor, targets: Tensor) -> Tensor:
        """Which boxes have the target as the only argmax, by these bounds: (batch,) Booleans."""
        with torch.no_grad():
            return certified(self.margins(low, high, targets), targets)
