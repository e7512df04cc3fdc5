"""``absint verify``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from absint.api import Task, load, verify_each
from absint.cli.earlier import read_earlier, read_warm
from absint.cli.options import (
    SETTINGS,
    converted,
    jobs,
    output_format,
    path_option,
    seconds,
    semantics,
    size,
)
from absint.cli.progress import ProgressLine
from absint.cli.signals import noted
from absint.cli.targets import Counterexamples, Targets
from absint.problem import InputError
from absint.search.options import BACKENDS, EXECUTORS, SearchOptions

EPILOG = """\b
Exit code: that of the worst property.
    0  verified     the independent checker accepted the certificate, which is written,
                    and a statement of it beside it (in-toto)
    1  falsified    an input that is catastrophic on the runtime, with zero tolerance
    3  unknown      out of time or memory; the certificate holds the proof so far (--resume)
    2  wrong input    4  not supported    70  internal error    130  interrupted
Of several properties 1 is worse than 3, and 3 than 0. Of a batch's rows the order is 1, 70 (a row
crashed or ran out of memory), 4, 2, 3, 0; a verdict that contradicts `expected` makes it 70.

\b
Examples:
    absint verify model.onnx --region spec.yaml
    absint verify model.onnx --region prop_1.vnnlib.gz --timeout 5m --counterexample found
    absint verify model.onnx --region spec.yaml --timeout 2h --resume spec.cert
    absint verify package.module:factory --region spec.yaml
    absint verify --instances instances.csv --results results.csv --certificates certs
"""

_SINGLE = (
    "model", "region", "certificate", "counterexample", "resume", "warm_start", "jobs", "count",
    "executor", "untrusted",
)  # fmt: skip
_BATCH = ("results", "workers", "certificates", "counterexamples")


@click.command(epilog=EPILOG, context_settings=SETTINGS)
@click.argument("model", type=click.Path(path_type=Path), required=False)
@path_option("--region", help="The spec: YAML (docs/spec.md) or VNN-LIB (.vnnlib, .vnnlib.gz).")
@path_option(
    "--certificate",
    help="Where to write the certificate. Default: the spec's name with .cert, in this folder; "
    "several properties get their names appended.",
)
@path_option(
    "--counterexample",
    help="Write a counterexample here: PATH.npz (input, output) and PATH.json (what it means).",
)
@path_option("--resume", help="A certificate with open parts, to go on from.")
@path_option(
    "--warm-start",
    help="A certificate of a network before it was retrained, fine-tuned or quantised: what of its "
    "proof still holds is kept, and the rest is proved anew.",
)
@click.option(
    "--timeout",
    callback=converted(seconds),
    default="300",
    show_default=True,
    metavar="TIME",
    help="For each property, its check included: seconds, or as in 5m and 2h. In a batch: for a "
    "row without a time of its own, loading included.",
)
@click.option(
    "--memory",
    callback=converted(size),
    default="8G",
    show_default=True,
    metavar="SIZE",
    help="Memory limit; in a batch the workers share it.",
)
@jobs()
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Of the search's random choices.",
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="NAME",
    help="Where bounds are computed: cpu (numpy), or a PyTorch device such as cuda.",
)
@semantics()
@click.option(
    "--count",
    is_flag=True,
    help="Of a network that decodes: go on after a counterexample, and say for how many prompts "
    "the property is certified.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="absint",
    show_default=True,
    help="Whose bounds the search goes by: ours, or auto_LiRPA's. The checker is the same.",
)
@click.option(
    "--executor",
    type=click.Choice(EXECUTORS),
    default=EXECUTORS[0],
    show_default=True,
    help="Who the --jobs workers are, for what is not proved in a moment: threads, processes, or "
    "actors on a Ray cluster (that of RAY_ADDRESS; without one, on this machine).",
)
@click.option(
    "--untrusted",
    is_flag=True,
    help="Refuse a MODEL whose loading executes code, as all of PyTorch's do.",
)
@output_format()
@path_option(
    "--instances",
    help="Batch: a CSV with the columns onnx, vnnlib, timeout and, if known, expected.",
)
@path_option("--results", help="Batch: where to write the table as CSV.")
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Batch: how many rows run side by side.  [default: all cores]",
)
@path_option("--certificates", help="Batch: a folder for the rows' certificates.")
@path_option("--counterexamples", help="Batch: a folder for the rows' counterexamples.")
@click.pass_context
def command(context: click.Context, /, **given: Any) -> int:
    """Prove that no input of a region reaches the catastrophe, or find one that does.

    MODEL is an ONNX file (also .onnx.gz), or in PyTorch a saved .pt2 file or
    package.module:factory, a function that returns a module, or (module, example_inputs). No option
    but --region is needed. With --instances, many models and properties are run in worker
    processes; a crash loses one row.
    """
    options = SearchOptions(
        given["timeout"],
        given["memory"],
        given["jobs"],
        given["seed"],
        given["device"],
        given["count"],
        given["backend"],
        semantics=given["semantics"],
        executor=given["executor"],
    )
    batch = given["instances"] is not None
    _reject(context, _SINGLE if batch else _BATCH, batch)
    if batch:
        from absint.cli.batch import Batch, run_batch

        names = [field.name for field in dataclasses.fields(Batch) if field.name in given]
        return run_batch(Batch(options=options, **{name: given[name] for name in names}))
    if given["model"] is None or given["region"] is None:
        missing = "MODEL" if given["model"] is None else "--region"
        raise click.UsageError(f"{missing} is missing: absint verify MODEL --region SPEC", context)
    if str(given["model"]).endswith((".yaml", ".yml", ".vnnlib")):
        raise click.UsageError(f"{given['model']} is a spec: put --region before it", context)
    if given["resume"] is not None and given["warm_start"] is not None:
        raise click.UsageError("--resume and --warm-start do not go together", context)
    request = Request(
        given["model"],
        given["region"],
        given["certificate"],
        given["counterexample"],
        given["resume"],
        given["warm_start"],
        given["style"],
        not given["untrusted"],
    )
    return request.run(options)


def _reject(context: click.Context, names: Iterable[str], batch: bool) -> None:
    """Raises UsageError for an option that has no meaning here."""
    for name in names:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            shown = "MODEL" if name == "model" else f"--{name}"
            rule = "does not go with --instances" if batch else "needs --instances"
            hint = "; use --workers" if name == "jobs" else ""
            raise click.UsageError(f"{shown} {rule}{hint}", context)


@dataclass(frozen=True)
class Request:
    """One model and spec to verify, and where results go."""

    model: Path
    region: Path
    certificate: Path | None
    counterexample: Path | None
    resume: Path | None
    warm: Path | None
    style: str
    trusted: bool = True

    def run(self, options: SearchOptions) -> int:
        """Verifies all properties; returns the exit code. Raises as ``api.verify_each`` does."""
        from absint.frontends.spec.decode import is_decode_spec
        from absint.report import reporter

        if is_decode_spec(self.region):
            from absint.cli import decoding

            if options.executor != EXECUTORS[0]:
                raise InputError("is not for specs with 'decode' yet", "--executor")
            return decoding.verify(self, options)
        if options.count:
            raise InputError("counts prompts: it is for specs with 'decode'", "--count")
        task = load(self.model, self.region, trusted=self.trusted, semantics=options.semantics)
        targets = self._targets(task)
        bound = {"model": task.model.digest, "spec": task.spec.digest}
        problems = task.spec.properties
        earlier = None if self.resume is None else read_earlier(self.resume, bound, problems)
        warm = None if self.warm is None else read_warm(self.warm, problems)
        report, line = reporter(self.style, task, options), ProgressLine(self.region.name)
        with noted() as stop:
            watched = dataclasses.replace(options, progress=line.search, stop=stop)
            results = verify_each(task, watched, earlier, warm)
            files = (self.model, self.region)
            return targets.deliver(task, files, results, report, line, stop)

    def _targets(self, task: Task) -> Targets:
        """Raises InputError."""
        kind: Counterexamples | None = None
        if self.counterexample is not None:
            from absint.report import counterexample

            kind = counterexample
        names = [problem.name for problem in task.spec.properties]
        return Targets.of(names, self.region, self.certificate, self.counterexample, kind)
