"""The commands on specs of networks that decode."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from absint.cli.earlier import read_earlier
from absint.cli.progress import ProgressLine
from absint.cli.targets import Targets
from absint.decode.task import DecodeTask, load, verify_each
from absint.problem import InputError
from absint.report.decoding import counterexample
from absint.search.options import BACKENDS, SearchOptions

if TYPE_CHECKING:
    from absint.cli.verify import Request
    from absint.report.decoding.json import DecodeJsonReporter
    from absint.report.decoding.text import DecodeTextReporter
    from absint.report.view import View


def verify(request: Request, options: SearchOptions) -> int:
    """Verifies all properties; returns the exit code. Raises InputError and UnsupportedError."""
    if request.warm is not None:
        raise InputError("is not for networks that decode", "--warm-start")
    if options.backend != BACKENDS[0]:
        raise InputError("has no bounds for networks that decode", f"--backend {options.backend}")
    task = load(request.model, request.region, trusted=request.trusted, semantics=options.semantics)
    problems = task.spec.problems
    names = [problem.name for problem in problems]
    earlier = None
    if request.resume is not None:
        bound = {"model": task.network.digest, "spec": task.spec.digest}
        earlier = read_earlier(request.resume, bound, problems)
    certificate, found = request.certificate, request.counterexample
    targets = Targets.of(names, request.region, certificate, found, counterexample)
    report, line = _reporter(request.style, task, options), ProgressLine(request.region.name)
    watched = dataclasses.replace(options, progress=line.search)
    named = (request.model, request.region)
    return targets.deliver(task, named, verify_each(task, watched, earlier), report, line)


def _reporter(
    style: str, task: DecodeTask, options: SearchOptions
) -> DecodeJsonReporter | DecodeTextReporter:
    if style == "json":
        from absint.report.decoding.json import DecodeJsonReporter

        return DecodeJsonReporter(task, options)
    from absint.report.decoding.text import DecodeTextReporter

    return DecodeTextReporter(task)


def replay(path: Path, model: Path, region: Path, changed: bool, style: str) -> int:
    """Replays a saved counterexample; returns the exit code. Raises InputError."""
    saved = counterexample.load(path)
    outcome = counterexample.replay(load(model, region, proving=False), saved, changed)
    code = 3 if outcome.found.catastrophic_default else 0
    code = 1 if outcome.found.catastrophic else code
    counterexample.show(style, outcome, code)
    return code


def inspect(model: Path, region: Path, view: View, trusted: bool) -> int:
    """Shows the decode graphs, and writes what ``view`` asks for; the exit code.

    Raises InputError and UnsupportedError.
    """
    from absint.frontends.spec.decode import is_decode_spec
    from absint.report.decoding.inspection import show

    if not is_decode_spec(region):
        raise InputError(
            "has no 'decode': only the graphs of a network that decodes need a spec", str(region)
        )
    task = load(model, region, trusted=trusted, proving=False)
    views = _each(task, view)
    for each in views.values():
        each.require_writable()
    for length, each in views.items():
        each.write(task.graphs[length])
    show(task, views)
    return 0


def _each(task: DecodeTask, view: View) -> dict[int, View]:
    """``view``, or for several lengths one each, with the length in its files' names."""
    if len(task.graphs) == 1:
        return dict.fromkeys(task.graphs, view)
    return {length: view.suffixed(f"-{length}") for length in task.graphs}
