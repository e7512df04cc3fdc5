"""The executor that the options ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from absint.api import Task
from absint.executors.job import Job
from absint.problem import Problem
from absint.search.farm import Crew
from absint.search.options import SearchOptions


@contextmanager
def crew_for(task: Task, problem: Problem, options: SearchOptions) -> Iterator[Crew | None]:
    """A crew for one property; None where the search stays in this process.

    Raises InputError: the model cannot be sent, or the executor is not installed.
    """
    if options.executor == "thread":
        yield None
        return
    job = Job(task, problem, replace(options, jobs=1)).packed()
    crew: Crew
    if options.executor == "ray":
        from absint.executors.ray import RayCrew

        crew = RayCrew(options.jobs, job)
    else:
        from absint.executors.process import ProcessCrew

        crew = ProcessCrew(options.jobs, job, options.memory)
    try:
        yield crew
    finally:
        crew.drop()
