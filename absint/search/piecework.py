"""What a worker does with the pieces of a proof that it is given."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from absint.domains.arrays import Arrays
from absint.ir import Graph
from absint.problem import Problem
from absint.search.attack import Runtime
from absint.search.cell import CellProof
from absint.search.options import Deadline, SearchOptions
from absint.search.pieces import Answer, Piece


class PieceWorker:
    """Works on pieces of one property, one after another; what they share is kept."""

    def __init__(
        self,
        graph: Graph,
        problem: Problem,
        arrays: Arrays,
        runtime: Runtime,
        options: SearchOptions,
    ) -> None:
        self._shared = graph, problem, arrays, runtime, options
        self._cells: dict[int, CellProof] = {}

    def work(self, piece: Piece, seconds: float) -> Answer:
        """Until nothing can be split, a counterexample is found, or the time is up."""
        if piece.cell not in self._cells:
            graph, problem, arrays, runtime, options = self._shared
            self._cells[piece.cell] = CellProof(
                graph, problem, piece.cell, arrays, runtime, options
            )
        cell, found, deadline = self._cells[piece.cell], None, Deadline.after(seconds)
        search = cell.take_up(piece)
        with ThreadPoolExecutor(1) as pool:
            while search.workable():
                found = search.step(pool)  # at least once: a short time must not be none
                if found is not None or deadline.left() <= 0:
                    break
        places = {node: place for place, node in enumerate(search.tree.leaves())}
        stuck = tuple(places[node] for node in search.stuck)
        return Answer(search.tree.stream(), stuck, found)
