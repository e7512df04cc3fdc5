"""What a worker needs to know of a property: sent once, before any piece."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

from absint.api import Task
from absint.problem import InputError, Problem
from absint.search.options import SearchOptions, never
from absint.search.piecework import PieceWorker
from absint.search.prove import arrays_of


@dataclass(frozen=True)
class Job:
    """A property of a task's model. ``options``: of one worker."""

    task: Task
    problem: Problem
    options: SearchOptions

    def packed(self) -> bytes:
        """Raises InputError where the model cannot be sent to another process."""
        quiet = replace(self.options, progress=None, stop=never)
        fresh = Task(self.task.model, self.task.spec)
        try:
            return pickle.dumps(replace(self, task=fresh, options=quiet))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            path = str(self.task.model.path)
            raise InputError(f"cannot be sent to other processes: {error}", path) from error


def worker(packed: bytes) -> PieceWorker:
    """Who does the work on the pieces of a packed job."""
    job: Job = pickle.loads(packed)
    graph, options = job.task.model.graph, job.options
    return PieceWorker(graph, job.problem, arrays_of(options), job.task.run, options)
