"""Who computes the bounds that a search goes by. Whoever it is, the checker recomputes them."""

from __future__ import annotations

from collections.abc import Callable

from absint.domains.arrays import Arrays
from absint.domains.interval import Interval
from absint.domains.product import Analysis, Query, Slopes, analyse
from absint.ir import Graph
from absint.problem import InputError
from absint.problem.contract import Contract

Analyse = Callable[[Interval, Slopes | None], Analysis]
"""Linear bounds of a query's rows on a batch of boxes, each end (batch, input_size), with slopes in
place of the default ones (which only our own bounds have)."""


def analysis_by(
    backend: str, graph: Graph, query: Query, arrays: Arrays, contract: Contract | None = None
) -> Analyse:
    """``backend`` is one of BACKENDS.

    Raises InputError where it is not installed or cannot be given the graph, or the contract.
    """
    if backend == "absint":
        return lambda box, slopes: analyse(graph, box, query, arrays, contract, slopes)
    if contract is not None:
        raise InputError("bounds real arithmetic: it goes with semantics real", "--backend")
    try:
        from absint.domains.lirpa import Lirpa

        lirpa = Lirpa(graph, query)
    except ImportError as error:
        hint = "pip install --no-deps auto_LiRPA, then appdirs and tqdm"
        raise InputError(f"auto_LiRPA is not installed ({error}): {hint}", "--backend") from error
    except ValueError as error:
        raise InputError(str(error), "--backend") from error
    return lambda box, slopes: _better(
        analyse(graph, box, query, arrays, slopes=slopes), lirpa.analyse(box, arrays), box, arrays
    )


def _better(ours: Analysis, theirs: Analysis, box: Interval, arrays: Arrays) -> Analysis:
    """Of each row the bound whose minimum is higher; ours says which inputs matter."""
    xp, radius = arrays.xp, (box[1] - box[0])[..., None] / 2
    least = [a.centre - (xp.abs(a.coefficients) @ radius)[..., 0] for a in (ours, theirs)]
    higher = least[1] > least[0]
    return Analysis(
        xp.where(higher[..., None], theirs.coefficients, ours.coefficients),
        xp.where(higher, theirs.centre, ours.centre),
        ours.influence,
    )
