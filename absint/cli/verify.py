"""``absint verify``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from absint.api import Task, load, verify_each
from absint.cli import files
from absint.cli.options import Size, jobs, output_format, path_option
from absint.cli.progress import ProgressLine
from absint.problem import InputError
from absint.proofs.format import MAGIC, Certificate, CertificateError
from absint.search.options import GIB, SearchOptions
from absint.search.result import Result

EPILOG = """\b
Exit code: that of the worst property (1 falsified before 3 unknown before 0 verified); 2 wrong
input, 4 not supported, 130 interrupted. `verified` is printed only after the independent checker
accepted the certificate, which is written beside: one file a property, and what is still open in
it when the verdict is unknown (see --resume).
"""


@click.command(epilog=EPILOG)
@click.argument("model", type=click.Path(path_type=Path), required=False)
@path_option("--region", help="The spec: YAML (docs/spec.md) or VNN-LIB (.vnnlib, .vnnlib.gz).")
@path_option(
    "--certificate",
    help="Where to write the certificate. Default: the spec's name with .cert, in this folder; "
    "several properties get their names appended.",
)
@path_option("--counterexample", help="Write a counterexample here (.npz, with a .json beside).")
@path_option("--resume", help="A certificate with open parts, to go on from.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds for each property, its check included.",
)
@click.option(
    "--memory", type=Size(), default=8 * GIB, show_default="8G", help="Memory limit of the search."
)
@jobs()
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="Where bounds are computed: cpu (numpy), or a PyTorch device such as cuda.",
)
@output_format()
@path_option("--instances", help="Batch mode: a CSV of model, property, timeout rows.")
@path_option("--results", help="Batch mode: where to write the table as CSV.")
def command(  # fmt: skip
    model: Path | None,
    region: Path | None,
    certificate: Path | None,
    counterexample: Path | None,
    resume: Path | None,
    timeout: float,
    memory: int,
    jobs: int,
    seed: int,
    device: str,
    style: str,
    instances: Path | None,
    results: Path | None,
) -> int:
    """Prove that no input of a region reaches the catastrophe, or find one that does.

    MODEL is an ONNX file (also .onnx.gz).
    """
    options = SearchOptions(timeout, memory, jobs, seed, device)
    if instances is not None:
        from absint.cli.batch import run_batch

        return run_batch(instances, results, options, style)
    if model is None or region is None:
        raise click.UsageError("give MODEL and --region, or --instances")
    return _verify(model, region, certificate, counterexample, resume, options, style)


def _verify(
    model: Path,
    region: Path,
    certificate: Path | None,
    counterexample: Path | None,
    resume: Path | None,
    options: SearchOptions,
    style: str,
) -> int:
    from absint.report import reporter

    task = load(model, region)
    paths = _certificate_paths(task, region, certificate)
    for path in paths.values():
        files.require_writable(path, [MAGIC])
    earlier = None if resume is None else _read_certificate(resume)
    report, results = reporter(style, task, options), []
    line = ProgressLine(region.name)
    watched = dataclasses.replace(options, progress=line.search)
    for result in verify_each(task, watched, earlier):
        line.clear()
        if result.certificate is not None:
            files.write(paths[result.name], result.certificate)
        results.append(result)
        report.add(result, paths[result.name])
        if counterexample is not None and result.counterexample is not None:
            _save(task, result, counterexample, several=len(paths) > 1)
    report.finish()
    return worst_exit_code(results)


def worst_exit_code(results: list[Result]) -> int:
    codes = {result.verdict.exit_code for result in results}
    return next(code for code in (1, 3, 0) if code in codes)


def _certificate_paths(task: Task, region: Path, given: Path | None) -> dict[str, Path]:
    """A path for each property's certificate."""
    from absint.frontends.spec.files import stem

    base = given if given is not None else Path(f"{stem(region)}.cert")
    names = [problem.name for problem in task.spec.properties]
    if len(names) == 1:
        return {names[0]: base}
    return {name: base.with_name(f"{base.stem}-{safe_name(name)}{base.suffix}") for name in names}


def safe_name(name: str) -> str:
    """A property's name as part of a file's."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def _read_certificate(path: Path) -> Certificate:
    try:
        return Certificate.from_bytes(files.read(path, "certificate"))
    except CertificateError as error:
        raise InputError(str(error), str(path)) from error


def _save(task: Task, result: Result, path: Path, several: bool) -> None:
    from absint.report.counterexample import save

    if several:
        path = path.with_name(f"{path.stem}-{safe_name(result.name)}{path.suffix}")
    save(path, task, result)
