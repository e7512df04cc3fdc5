"""A network and a decode spec read for it: what ``absint verify`` works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from absint.decode.caller import Caller
from absint.decode.detector import DetectorCaller, detector_of
from absint.decode.prove import Runner, prove_decode
from absint.decode.result import DecodeResult
from absint.decode.runner import ModelRunner, TokenRunner, WholeRunner
from absint.decode.steps import decode_graphs
from absint.frontends import decoder
from absint.frontends.decoder import Network
from absint.frontends.spec.decode import DecodeSpec, decode_spec
from absint.ir import Graph
from absint.problem import InputError
from absint.problem.decode import DecodeProblem
from absint.problem.problem import Meaning
from absint.proofs.decode.check import DecodeReport, check_decode
from absint.proofs.format import Certificate, CertificateError
from absint.search.options import SearchOptions
from absint.search.prove import Binding


@dataclass(frozen=True, eq=False)
class DecodeTask:
    """``graphs``: a decode graph for each length of prompt that the spec speaks of."""

    network: Network
    spec: DecodeSpec
    caller: Caller
    graphs: Mapping[int, Graph]
    detector: DetectorCaller | None = None

    def problem(self, name: str) -> DecodeProblem:
        """The property of that name. Raises InputError."""
        for problem in self.spec.problems:
            if problem.name == name:
                return problem
        raise InputError(f"no property {name!r}", self.spec.sources.path)

    def graphs_of(self, problem: DecodeProblem) -> dict[int, Graph]:
        """The graphs of a property's prompts: what its certificate binds."""
        return {len(cell.slots): self.graphs[len(cell.slots)] for cell in problem.cells}

    @cached_property
    def runner(self) -> ModelRunner:
        """Decodes on the runtime as written; steps and stop tokens are common to all properties.

        It starts at the first prompt: most proofs never need it.
        """
        made = WholeRunner if self.caller.emits else TokenRunner
        return made(self.caller, self.spec.problems[0], self.detector)

    @cached_property
    def optimised(self) -> ModelRunner:
        """The same with the runtime's default optimisations."""
        return replace(self.runner, optimised=True, _sessions={})

    def runner_of(self, problem: DecodeProblem) -> ModelRunner:
        """The same for the probes of one property; sessions are common to all."""
        return replace(self.runner, problem=problem)

    def optimised_of(self, problem: DecodeProblem) -> ModelRunner:
        """``runner_of`` with the runtime's default optimisations."""
        return replace(self.optimised, problem=problem)

    def only(self, problem: DecodeProblem) -> DecodeTask:
        """The task of one property."""
        return replace(self, spec=replace(self.spec, problems=(problem,)))


def load(
    model: Any,
    region: str | Path,
    *,
    trusted: bool = True,
    semantics: Meaning | None = None,
    proving: bool = True,
) -> DecodeTask:
    """Reads the spec ``region``, then lowers ``model``, and the spec's detector where it has one,
    for the lengths of its prompts.

    ``semantics``: what the network means where the spec does not say. Unless it is for ``proving``,
    float32's contract need not cover the network.

    ``model`` is as for ``absint.api.load``; an ONNX file's number of tokens may be symbolic.

    Raises:
        InputError: a file cannot be read or is wrong, or the two do not fit together.
        UnsupportedError: everything that is not supported, before any work.
    """
    spec = decode_spec(region, semantics)
    network = decoder.load(model, spec.network.input, trusted=trusted)
    first = spec.problems[0]
    caller = Caller(network, spec.network, len(first.vocabulary), spec.sources.path)
    lengths = sorted({len(cell.slots) for problem in spec.problems for cell in problem.cells})
    detector = detector_of(spec)
    contract = first.semantics.contract if proving else None
    graphs = decode_graphs(caller, lengths, first.steps, detector, contract)
    return DecodeTask(network, spec, caller, graphs, detector)


def verify_each(
    task: DecodeTask, options: SearchOptions, resume: Certificate | None = None
) -> Iterator[DecodeResult]:
    """The results of a task's properties one by one, as they are found.

    ``resume`` is an earlier certificate of the same files, for the property of its name.
    """
    binding = Binding(task.network.digest, task.spec.digest)
    for problem in task.spec.problems:
        own = resume if resume is not None and resume.problem.name == problem.name else None
        graphs, runtime = task.graphs_of(problem), _runtime(task, problem)
        yield prove_decode(graphs, problem, binding, runtime, options, resume=own)


def _runtime(task: DecodeTask, problem: DecodeProblem) -> Callable[[int], Runner]:
    return lambda _: task.runner_of(problem)


def check(
    claim: Certificate, task: DecodeTask, progress: Any = None, jobs: int = 1
) -> DecodeReport:
    """The checker's report on a certificate about ``task``.

    Raises CertificateError where it is about something else.
    """
    if claim.model != task.network.digest:
        raise CertificateError("the certificate is for another model file")
    if claim.spec != task.spec.digest:
        raise CertificateError("the certificate is for another spec file")
    problem = task.problem(claim.problem.name)
    claimed, asked = claim.problem.semantics.name, problem.semantics.name
    if claimed != asked:
        raise CertificateError(f"the certificate speaks of semantics {claimed}, not {asked}")
    return check_decode(claim, task.graphs_of(problem), problem, progress, jobs)
