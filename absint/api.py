"""The Python interface: model and spec to results, certificate to the checker's report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from absint.problem import (
    InputError,
    Meaning,
    Problem,
    Unsupported,
    UnsupportedError,
    to_json,
)
from absint.problem.contract import Contract
from absint.problem.decode import DecodeProblem
from absint.proofs.check import CheckReport, Progress
from absint.proofs.check import check as check_proof
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.transformers.rounding import uncovered
from absint.search.options import SearchOptions

if TYPE_CHECKING:
    from absint.decode.result import DecodeResult
    from absint.frontends.models import Model
    from absint.frontends.runtime import Runtime
    from absint.frontends.spec import Spec
    from absint.ir import Graph
    from absint.proofs.decode.check import DecodeReport
    from absint.search.result import Result

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """A model with a spec read for it."""

    model: Model
    spec: Spec

    def problem(self, name: str) -> Problem:
        """The property of that name. Raises InputError."""
        for problem in self.spec.properties:
            if problem.name == name:
                return problem
        raise InputError(f"no property {name!r}", self.spec.sources.path)

    def run(self, x: FloatArray) -> FloatArray:
        """The network on the runtime, optimisations off: flat (batch, inputs) to (batch, outputs).

        The session starts at the first run: most proofs never need it.
        """
        return self._session.run(x)

    @property
    def runtime_name(self) -> str:
        """The runtime that counterexamples are replayed on, with its version."""
        return self._session.name

    @cached_property
    def _session(self) -> Runtime:
        return self.runtime()

    def runtime(self, *, optimised: bool = False) -> Runtime:
        from absint.frontends.runtime import runtime

        return runtime(self.model, optimised=optimised)


def load(
    model: Any, region: str | Path, *, trusted: bool = True, semantics: Meaning | None = None
) -> Task:
    """Reads and lowers ``model``, then reads the spec ``region`` for it.

    ``semantics``: what the network means where the spec does not say.

    ``model`` is the path of an ONNX file or of a lowered graph; or, where the model's own code is
    ``trusted``, ``package.module:factory``, the path of a ``.pt2`` file, a ``torch.nn.Module``, or
    a pair of one with its example inputs.

    Raises:
        InputError: a file cannot be read or is wrong, or the model is not trusted.
        UnsupportedError: everything that is not supported, before any work.
    """
    from absint.frontends.models import load as load_model
    from absint.frontends.spec import read

    lowered = load_model(model, trusted=trusted)
    spec = read(region, lowered.graph, semantics)
    _require_contract(lowered.graph, spec.properties[0].semantics.contract)
    return Task(lowered, spec)


def _require_contract(graph: Graph, contract: Contract | None) -> None:
    """Raises UnsupportedError for what the contract, where there is one, does not cover."""
    gaps = () if contract is None else uncovered(graph, contract)
    hint = "'semantics: real' is (--semantics real)"
    if gaps:
        raise UnsupportedError([Unsupported("semantics float32", gap, hint) for gap in gaps])


def verify(
    model: Any, region: str | Path, options: SearchOptions | None = None
) -> list[Result] | list[DecodeResult]:
    """Verifies every property of the spec ``region`` of the network ``model``.

    ``model`` is the path of an ONNX file or of a ``.pt2`` file, ``package.module:factory``, a
    ``torch.nn.Module`` (with an attribute ``example_inputs``, unless it begins with a Linear), or a
    pair of one with its example inputs. Specs with ``decode`` give DecodeResults.

    Raises InputError and UnsupportedError as ``load`` does, and for vacuous properties.
    """
    from absint.frontends.spec.decode import is_decode_spec

    options = options or SearchOptions()
    if is_decode_spec(region):
        from absint.decode import task

        return list(
            task.verify_each(task.load(model, region, semantics=options.semantics), options)
        )
    return list(verify_each(load(model, region, semantics=options.semantics), options))


def verify_each(
    task: Task,
    options: SearchOptions,
    resume: Certificate | None = None,
    warm: Certificate | None = None,
) -> Iterator[Result]:
    """The results of a task's properties one by one, as they are found.

    ``resume`` is an earlier certificate of the same files, ``warm`` one that may be of others; each
    is for the property of its name.
    """
    from absint.executors.choice import crew_for
    from absint.search.prove import Binding, prove
    from absint.search.vacuity import require_meaning
    from absint.search.warm import prove_from

    for problem in task.spec.properties:
        require_meaning(problem)
        to_json(problem)  # what cannot be written into a certificate is an error before any work
    if resume is not None:
        _require_same(resume, task)
    binding = Binding(task.model.digest, task.spec.digest)
    for problem in task.spec.properties:
        if options.stop():
            return
        graph = task.model.graph
        with crew_for(task, problem, options) as crew:
            if warm is not None and warm.problem.name == problem.name:
                yield prove_from(warm, graph, problem, binding, task.run, options, crew)
                continue
            own = resume if resume is not None and resume.problem.name == problem.name else None
            yield prove(graph, problem, binding, task.run, options, own, crew=crew)


def _require_same(certificate: Certificate, task: Task) -> None:
    if certificate.model != task.model.digest or certificate.spec != task.spec.digest:
        raise InputError("the certificate to resume is of another model or spec")


def check(
    certificate: bytes,
    model: str | Path,
    region: str | Path,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    semantics: Meaning | None = None,
) -> CheckReport | DecodeReport:
    """Re-checks a certificate's bytes against the files that it speaks for.

    The model (an ONNX file, or the lowered graph of any model) is lowered and the spec is read
    anew, and both must be what the certificate binds. No code of a model is executed. ``semantics``
    is what the network means where the spec does not say.

    Raises:
        CertificateError: the certificate is damaged, or of another model, spec or problem.
        InputError, UnsupportedError: the model or the spec cannot be read.
    """
    from absint.frontends.spec.decode import is_decode_spec

    claim = Certificate.from_bytes(certificate)
    if isinstance(claim.problem, DecodeProblem) != is_decode_spec(region):
        raise CertificateError("the certificate is for another spec file")
    if isinstance(claim.problem, DecodeProblem):
        from absint.decode import task as decoding

        network = decoding.load(model, region, trusted=False, semantics=semantics)
        return decoding.check(claim, network, progress, jobs)
    task = load(model, region, trusted=False, semantics=semantics)
    if claim.model != task.model.digest:
        raise CertificateError("the certificate is for another model file")
    if claim.spec != task.spec.digest:
        raise CertificateError("the certificate is for another spec file")
    problem = task.problem(claim.problem.name)
    claimed, asked = claim.problem.semantics.name, problem.semantics.name
    if claimed != asked:
        raise CertificateError(f"the certificate speaks of semantics {claimed}, not {asked}")
    return check_proof(claim, task.model.graph, problem, progress, jobs)
