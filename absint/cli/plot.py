"""``absint plot``."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import numpy as np

from absint import api
from absint.api import Task
from absint.cli.options import SETTINGS, jobs, path_option
from absint.problem import InputError, Problem, parse_number
from absint.proofs.check import CheckReport
from absint.proofs.format import Certificate, CertificateError
from absint.report import files
from absint.report.plot import Picture, draw, extent
from absint.report.slice import FloatArray, Slice, cut, most_split, problem_of
from absint.report.units import Units
from absint.report.words import count

DRAWN, REJECTED = 0, 1
MAGIC = {
    "svg": b'<?xml version="1.0" encoding="utf-8" standalone="no"?>\n<!DOCTYPE svg PUBLIC',
    "png": b"\x89PNG\r\n\x1a\n",
}

EPILOG = """\b
Exit code: 0 drawn, 1 drawn, but the checker rejects the certificate or parts of it, 2 a file or
an option is wrong, 4 not supported, 130 interrupted.
"""


@click.command(epilog=EPILOG, context_settings=SETTINGS)
@click.argument("certificate", type=click.Path(path_type=Path))
@path_option("--model", required=True, help="The ONNX file that the certificate is about.")
@path_option("--region", required=True, help="The spec that it is about.")
@path_option("--output", required=True, help="Where to draw: a name that ends in .svg or .png.")
@click.option("--x", "x_name", metavar="NAME", help="The input on the x axis: a name, or input[3].")
@click.option(
    "--y",
    "y_name",
    metavar="NAME",
    help="The input on the y axis. Both default to the inputs that the proof splits most.",
)
@click.option(
    "--fix",
    multiple=True,
    metavar="NAME=VALUE",
    help="Where to cut: the value of another input, in the spec's units. Default: where the "
    "proof is finest, or the counterexample's value.",
)
@path_option("--counterexample", help="A counterexample of the same model to mark.")
@click.option(
    "--classes/--no-classes",
    default=True,
    help="Show where the network's decision changes, and where it is catastrophic. Default: yes.",
)
@jobs()
def command(**given: Any) -> int:
    """Draw a 2-D slice of a certificate's partition, coloured by what is proved.

    The certificate is checked first. Every rectangle is a leaf of the proof that meets the slice.
    """
    output: Path = given["output"]
    kind = output.suffix.lower().removeprefix(".")
    if kind not in MAGIC:
        raise InputError("the name of a picture ends in .svg or .png", str(output))
    files.require_writable(output, [MAGIC[kind]])
    path: Path = given["certificate"]
    data = files.read(path, "certificate")
    try:
        certificate = Certificate.from_bytes(data)
        meaning = certificate.problem.semantics.name
        report = api.check(
            data, given["model"], given["region"], jobs=given["jobs"], semantics=meaning
        )
    except CertificateError as error:
        raise InputError(str(error), str(path)) from error
    if not isinstance(report, CheckReport):
        raise InputError("is about a network that decodes; see absint explain", str(path))
    task = api.load(given["model"], given["region"], semantics=meaning)
    picture = _picture(task, certificate, report, given)
    files.write(output, draw(picture, kind))
    total, met = count(report.leaves, "leaf", "leaves"), len(picture.view.tiles)
    meet = "meets" if met == 1 else "meet"
    print(f"{output}: {certificate.problem.name}, {met} of {total} {meet} the slice")
    return REJECTED if report.rejected else DRAWN


def _picture(
    task: Task, certificate: Certificate, report: CheckReport, given: dict[str, Any]
) -> Picture:
    units, problem = Units.of(task), problem_of(certificate)
    marked = _marked(given["counterexample"], task)
    graph = task.model.graph
    x, y = _axes(given["x_name"], given["y_name"], units, most_split(certificate, graph))
    fixed = _fixed(given["fix"], units, (x, y))
    view = cut(certificate, graph, report, x, y, fixed, _through(problem, marked))
    landscape = None
    if given["classes"]:
        from absint.report.landscape import survey

        extents = (extent(view, 0, marked), extent(view, 1, marked))
        landscape = survey(graph, problem.cells[0], view.point, (x, y), extents)
    return Picture(view, landscape, units, problem.name, _subtitle(report, view), marked)


def _subtitle(report: CheckReport, view: Slice) -> str:
    verdict = (
        "verified: accepted by the checker"
        if report.accepted
        else "rejected by the checker"
        if report.rejected
        else "incomplete: parts are open"
    )
    leaves = count(report.leaves, "leaf", "leaves")
    return f"{verdict}   ·   {leaves}, {len(view.tiles)} in this slice"


def _axes(x: str | None, y: str | None, units: Units, best: Sequence[int]) -> tuple[int, int]:
    """The dimensions to draw; those not given are the ``best`` of the others."""
    chosen = [None if name is None else _input(name, units) for name in (x, y)]
    wide = [d for d in best if d not in chosen]
    found = [wide.pop(0) if d is None and wide else d for d in chosen]
    if None in found:
        raise InputError("the region has fewer than two inputs with a width: there is no 2-D slice")
    first, second = (d for d in found if d is not None)
    if first == second:
        raise InputError(f"both axes are {units.inputs[first]}")
    return first, second


def _input(name: str, units: Units) -> int:
    """The input of that name; also ``input[3]``. Raises InputError."""
    if name in units.inputs:
        return list(units.inputs).index(name)
    digits = name.removeprefix("input[").removesuffix("]")
    if name == f"input[{digits}]" and digits.isdecimal() and int(digits) < len(units.inputs):
        return int(digits)
    import difflib

    near = difflib.get_close_matches(name, units.inputs, n=1, cutoff=0.5)
    known = ", ".join(units.inputs[:10]) + (", …" if len(units.inputs) > 10 else "")
    hint = f"did you mean {near[0]!r}?" if near else f"there are {known}"
    raise InputError(f"no input {name!r}: {hint}")


def _fixed(given: tuple[str, ...], units: Units, axes: tuple[int, int]) -> dict[int, float]:
    fixed: dict[int, float] = {}
    for item in given:
        name, equals, text = item.partition("=")
        if not equals:
            raise InputError(f"--fix {item}: write NAME=VALUE")
        dimension = _input(name.strip(), units)
        if dimension in axes:
            raise InputError(f"--fix {item}: {name.strip()} is on an axis")
        try:
            value: Fraction = parse_number(text)
            fixed[dimension] = float(units.to_network(dimension, value))
        except (ValueError, OverflowError) as error:
            raise InputError(f"--fix {item}: {error}") from error
    return fixed


def _marked(path: Path | None, task: Task) -> FloatArray | None:
    """The counterexample's input. Raises InputError unless it is of the same model."""
    if path is None:
        return None
    from absint.report import counterexample

    saved = counterexample.load(path)
    if saved.facts["model"]["sha256"] != task.model.digest:
        raise InputError("is about another model", str(path))
    if saved.x.shape != (task.model.graph.input_size,):
        raise InputError("does not have the network's inputs", str(path))
    return saved.x


def _through(problem: Problem, marked: FloatArray | None) -> FloatArray | None:
    """Where to cut: as near to the marked point as the region allows."""
    if marked is None:
        return None
    boxes = [problem.network_box(cell) for cell in problem.cells]
    nearest = [np.clip(marked, lower, upper) for lower, upper in boxes]
    return min(nearest, key=lambda point: float(np.abs(point - marked).max()))
