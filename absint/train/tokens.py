"""The certified loss of a network that reads tokens, over products of token sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from absint.domains.tokens_bounds import TokenBounds
from absint.domains.tokens_sets import TokenSets
from absint.train.loss import certified, margin_rows, worst_cross_entropy
from absint.train.parameters import Lower, Parametric


class TokenLoss:
    """Upper bounds of the worst cross-entropy over token sets, differentiable in the parameters.

    ``lower`` makes of the module a graph with one token an input (``absint.ir.blocks.unroll``) and
    one or several named outputs of logits. A case is one set of tokens for each input.

    Example::

        loss = TokenLoss(model, lower)
        for step in range(steps):
            value = loss(allowed, targets, "logits_3")   # allowed: (batch, inputs, vocabulary)
            value.backward()

    ``coupled`` bounds are tighter and slower (``absint.domains.tokens_bounds``). Raises ValueError
    as ``Parametric`` does.
    """

    def __init__(self, module: nn.Module, lower: Lower, coupled: bool = False) -> None:
        self.parametric, self.coupled = Parametric(module, lower), coupled

    def margins(
        self, allowed: NDArray[np.bool_], targets: Tensor, output: str | None = None
    ) -> Tensor:
        """Upper bounds (batch, classes) of ``logit_k - logit_target`` on each case.

        ``allowed`` is (batch, inputs, vocabulary), True for the tokens in a set; ``targets``
        (batch,) are classes; ``output`` names the output, the first where it is None.
        """
        graph, arrays = self.parametric.graph, self.parametric.arrays()
        ports = {port.name: port for port in graph.outputs}
        port = ports[graph.outputs[0].name if output is None else output]
        bounds = TokenBounds(graph, TokenSets(allowed), arrays, self.coupled)
        like = next(self.parametric.module.parameters())
        margins: Tensor = bounds.upper(port.node, margin_rows(port.size, targets, like))
        return margins

    def __call__(
        self, allowed: NDArray[np.bool_], targets: Tensor, output: str | None = None
    ) -> Tensor:
        """The mean over the cases of a bound of the largest cross-entropy in each."""
        return worst_cross_entropy(self.margins(allowed, targets, output))

    def certified(
        self, allowed: NDArray[np.bool_], targets: Tensor, output: str | None = None
    ) -> Tensor:
        """Which cases have the target as the only argmax, by these bounds: (batch,) Booleans."""
        import torch

        with torch.no_grad():
            return certified(self.margins(allowed, targets, output), targets)
