"""auto_LiRPA's linear bounds in the form of the search's own analysis."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from absint.domains.arrays import Arrays
from absint.domains.interval import Interval
from absint.domains.lirpa.library import library
from absint.domains.lirpa.module import DTYPE, Rows
from absint.domains.product import Analysis, Query
from absint.ir import Graph

METHODS = ("IBP", "CROWN-IBP", "CROWN", "CROWN-Optimized")
ITERATIONS = 20


class Lirpa:
    """Bounds of a query's rows on batches of boxes, in float32.

    ``method`` is one of METHODS; CROWN-Optimized (Xu et al. 2021) ascends on the slopes. Raises
    ValueError where auto_LiRPA cannot be given the graph, and ImportError where it is not
    installed.
    """

    def __init__(self, graph: Graph, query: Query, method: str = "CROWN") -> None:
        lirpa = library()
        self.method = method
        self._library = lirpa
        self._lock = threading.Lock()
        """A BoundedModule keeps what it is computing."""
        rows = Rows(graph, query)
        options = {
            "conv_mode": "matrix",
            "sparse_features_alpha": False,
            "sparse_spec_alpha": False,
            "optimize_bound_args": {"iteration": ITERATIONS, "lr_alpha": 0.1},
        }
        point = torch.zeros((1, graph.input_size), dtype=DTYPE)
        self._module = lirpa.BoundedModule(rows, point, bound_opts=options, verbose=False)

    def minimum(self, box: Interval) -> NDArray[np.float64]:
        """Lower bounds (batch, rows) on boxes, each end (batch, input_size)."""
        lower = self._bounds(box)[0]
        return np.asarray(lower.detach(), dtype=np.float64)

    def analyse(self, box: Interval, arrays: Arrays) -> Analysis:
        """As ``absint.domains.product.analyse``; which inputs matter is told from the
        coefficients alone."""
        final, first = self._module.output_name[0], self._module.input_name[0]
        needed: defaultdict[str, set[str]] = defaultdict(set)
        needed[final].add(first)
        lower, _, linear = self._bounds(box, return_A=True, needed_A_dict=needed)
        coefficients, minimum = (
            arrays.asarray(np.asarray(found.detach()))
            for found in (linear[final][first]["lA"], lower)
        )
        reach = arrays.xp.abs(coefficients) * ((box[1] - box[0]) / 2)[:, None]
        return Analysis(coefficients, minimum + reach.sum(2), 2 * reach)

    def _bounds(self, box: Interval, **asked: Any) -> Any:
        optimized = self.method == "CROWN-Optimized"
        with self._lock, torch.enable_grad() if optimized else torch.no_grad():
            return self._module.compute_bounds(
                x=(self._input(box),), method=self.method, bound_upper=not optimized, **asked
            )

    def _input(self, box: Interval) -> Any:
        lower, upper = (torch.tensor(np.asarray(end), dtype=DTYPE) for end in box)
        norm = self._library.PerturbationLpNorm(norm=np.inf, x_L=lower, x_U=upper)
        return self._library.BoundedTensor((lower + upper) / 2, norm)
