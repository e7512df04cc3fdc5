"""What a batch's worker process does: one row after another, each to a verdict or an error."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from absint.report.rows import Instance, RowResult

if TYPE_CHECKING:
    from absint.api import Task
    from absint.decode.result import DecodeResult
    from absint.decode.task import DecodeTask
    from absint.search.options import SearchOptions
    from absint.search.result import Result

ADDRESS_HEADROOM = 4 << 30
"""Address space for code, thread stacks and arenas, which resident memory does not count."""
SHORTEST = 0.05
"""Seconds that a property gets where loading, or those before it, used up the row's time."""


@dataclass(frozen=True)
class Settings:
    """What all rows share. ``options.memory`` is one worker's."""

    options: SearchOptions
    certificates: Path | None
    counterexamples: Path | None


def serve(pipe: Connection, settings: Settings) -> None:
    """Answers each Instance with a RowResult until the pipe is closed."""
    from absint.executors.pool import READY

    _limit_address_space(settings.options.memory)
    import absint.frontends.onnx
    import absint.frontends.runtime
    import absint.search.prove  # noqa: F401  (not on the first row's time)

    try:
        pipe.send(READY)
        while True:
            pipe.send(run(pipe.recv(), settings))
    except (EOFError, OSError):
        os._exit(0)  # whoever started this process is gone


def _limit_address_space(memory: int) -> None:
    """A last line: an allocation far beyond the limit fails at once, before it is touched."""
    try:
        import resource
    except ImportError:  # not a Unix
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = 2 * memory + ADDRESS_HEADROOM
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def run(instance: Instance, settings: Settings) -> RowResult:
    """Verifies one row; whatever goes wrong is its result."""
    from absint.problem import AbsintError

    started = time.monotonic()
    try:
        found = _verify(instance, settings, started)
    except AbsintError as error:
        found = _error(str(error), error.exit_code)
    except MemoryError:
        found = _error("out of memory", 70)
    except Exception as error:
        found = _error(f"internal error: {type(error).__name__}: {error}", 70)
    return dataclasses.replace(found, seconds=time.monotonic() - started)


def _error(reason: str, exit_code: int) -> RowResult:
    return RowResult("error", exit_code, " ".join(reason.split()))


def _verify(instance: Instance, settings: Settings, started: float) -> RowResult:
    from absint.api import load, verify_each
    from absint.frontends.spec.decode import is_decode_spec

    if is_decode_spec(instance.region):
        return _decode(instance, settings, started)
    task = load(instance.model, instance.region, semantics=settings.options.semantics)
    results = []
    for problem in task.spec.properties:
        left = max(SHORTEST, started + instance.timeout - time.monotonic())
        options = dataclasses.replace(settings.options, timeout=left)
        spec = dataclasses.replace(task.spec, properties=(problem,))
        (result,) = verify_each(dataclasses.replace(task, spec=spec), options)
        _keep(instance, settings, task, result)
        results.append(result)
    return _summary(results)


def _decode(instance: Instance, settings: Settings, started: float) -> RowResult:
    """The row of a spec for a network that decodes."""
    from absint.decode.task import load, verify_each

    task = load(instance.model, instance.region, semantics=settings.options.semantics)
    names = [problem.name for problem in task.spec.problems]
    results: list[DecodeResult] = []
    for problem in task.spec.problems:
        left = max(SHORTEST, started + instance.timeout - time.monotonic())
        options = dataclasses.replace(settings.options, timeout=left)
        (result,) = verify_each(task.only(problem), options)
        _keep_decoded(instance, names, settings, task, result)
        results.append(result)
    return _summary(results)


def _summary(results: Sequence[Result | DecodeResult]) -> RowResult:
    from absint.cli.exits import worst_exit_code

    code = worst_exit_code(results)
    worst = next(result for result in results if result.verdict.exit_code == code)
    return RowResult(
        worst.verdict.value,
        code,
        f"{worst.name}: {worst.reason}" if worst.reason and len(results) > 1 else worst.reason,
        search_seconds=sum(r.effort.search_seconds for r in results),
        check_seconds=sum(r.effort.check_seconds for r in results),
        nodes=sum(r.effort.nodes for r in results),
        leaves=sum(map(_leaves, results)),
        certificate_bytes=sum(len(r.certificate or b"") for r in results),
    )


def _leaves(result: Result | DecodeResult) -> int:
    """Of what the proof's bounds were asked: boxes, or cases of what is emitted."""
    from absint.search.result import Result

    if isinstance(result, Result):
        return 0 if result.coverage is None else result.coverage.leaves
    return 0 if result.report is None else result.report.cases


def _keep(instance: Instance, settings: Settings, task: Task, result: Result) -> None:
    """Writes what was found where the batch keeps such files."""
    from absint.report import counterexample

    name = _name(instance, [problem.name for problem in task.spec.properties], result.name)
    _write_certificate(name, instance, settings, result)
    if settings.counterexamples is not None and result.counterexample is not None:
        path = settings.counterexamples / f"{name}.npz"
        counterexample.require_writable(path)
        counterexample.save(path, task, result)


def _keep_decoded(
    instance: Instance,
    names: Sequence[str],
    settings: Settings,
    task: DecodeTask,
    result: DecodeResult,
) -> None:
    from absint.report import files
    from absint.report.decoding import counterexample

    name = _name(instance, names, result.name)
    _write_certificate(name, instance, settings, result)
    if settings.counterexamples is not None and result.counterexample is not None:
        path = settings.counterexamples / f"{name}.json"
        files.require_writable(path, [counterexample.MAGIC])
        counterexample.save(path, task, result)


def _write_certificate(
    name: str, instance: Instance, settings: Settings, result: Result | DecodeResult
) -> None:
    from absint.report import artifacts

    if settings.certificates is not None and result.certificate is not None:
        path, verdict = settings.certificates / f"{name}.cert", result.verdict.value
        artifacts.require_writable(path)
        artifacts.write(
            path, result.certificate, verdict, str(instance.model), str(instance.region)
        )


def _name(instance: Instance, names: Sequence[str], name: str) -> str:
    """The name of a property's files."""
    from absint.report import files

    own = files.safe_names(names)[names.index(name)]
    return artifact(instance) + (f"-{own}" if len(names) > 1 else "")


def artifact(instance: Instance) -> str:
    """The name of a row's files: ``0017-ACASXU_run2a_1_1-prop_1``."""
    from absint.frontends.spec.files import stem
    from absint.report.files import safe_name

    model, region = (safe_name(stem(Path(name))) for name in (instance.onnx, instance.vnnlib))
    return f"{instance.number:04d}-{model}-{region}"
