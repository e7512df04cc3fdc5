"""``absint check``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from absint import api
from absint.cli.options import SETTINGS, jobs, output_format, path_option, semantics
from absint.cli.progress import ProgressLine
from absint.problem import Meaning
from absint.proofs.check import CheckReport
from absint.proofs.format import CertificateError
from absint.report import files

if TYPE_CHECKING:
    from absint.proofs.decode.check import DecodeReport

ACCEPTED, REJECTED, INCOMPLETE = 0, 1, 3

EPILOG = """\b
Exit code: 0 accepted; 1 rejected: it is damaged, about another model, spec or property, or does
not prove what it claims; 3 incomplete: what is proved holds, but parts are open; 2 a file cannot
be read or is wrong; 4 not supported; 130 interrupted. Only 0 means that the property is proved.
"""


@click.command(epilog=EPILOG, context_settings=SETTINGS)
@click.argument("certificate", type=click.Path(path_type=Path), required=False)
@path_option(
    "--model",
    required=True,
    help="The ONNX file that the certificate must be about; of a PyTorch model its lowered graph.",
)
@path_option("--region", required=True, help="The spec that it must be about.")
@path_option(
    "--statement",
    help="The in-toto statement to be held against the certificate, too.  [default: "
    "CERTIFICATE.intoto.json, if there is one]",
)
@path_option(
    "--leaves",
    help="Instead of CERTIFICATE: a CSV file of the boxes that another tool has verified. Every "
    "bound is recomputed, and whether they cover the region.",
)
@click.option("--property", "name", help="With --leaves: which of the spec's properties.")
@path_option("--keep", help="With --leaves: write what was confirmed as a certificate of ours.")
@semantics()
@jobs()
@output_format()
@click.pass_context
def command(
    context: click.Context,
    /,
    certificate: Path | None,
    model: Path,
    region: Path,
    statement: Path | None,
    leaves: Path | None,
    name: str | None,
    keep: Path | None,
    semantics: Meaning | None,
    jobs: int,
    style: str,
) -> int:
    """Re-check a certificate without trusting the search that wrote it.

    The model is lowered and the spec is read anew; every bound is recomputed in rigorous float64,
    and the splits must cover the region. No code of the model is run: of a PyTorch model give the
    graph that `absint inspect MODEL --graph FILE` writes.
    """
    if (certificate is None) == (leaves is None):
        raise click.UsageError("give a CERTIFICATE, or --leaves", context)
    if leaves is not None:
        return _leaves(leaves, model, region, name, keep, semantics, jobs, style)
    if certificate is None or name is not None or keep is not None:
        raise click.UsageError("--property and --keep need --leaves", context)
    return _certificate(certificate, model, region, statement, semantics, jobs, style)


def _leaves(
    leaves: Path,
    model: Path,
    region: Path,
    name: str | None,
    keep: Path | None,
    semantics: Meaning | None,
    jobs: int,
    style: str,
) -> int:
    from absint.cli.leaves import check_leaves
    from absint.report.listed import show

    started = time.monotonic()
    found = check_leaves(leaves, model, region, name, keep, semantics, jobs)
    code = _code(found.report)
    show(style, leaves, found, keep, time.monotonic() - started, code)
    return code


def _code(report: CheckReport | DecodeReport) -> int:
    return ACCEPTED if report.accepted else REJECTED if report.rejected else INCOMPLETE


def _certificate(
    certificate: Path,
    model: Path,
    region: Path,
    statement: Path | None,
    semantics: Meaning | None,
    jobs: int,
    style: str,
) -> int:
    from absint.report.check import show

    started, line = time.monotonic(), ProgressLine(certificate.name)
    data = files.read(certificate, "certificate")
    try:
        report = api.check(data, model, region, jobs=jobs, progress=line.check, semantics=semantics)
    except CertificateError as error:
        line.clear()
        show(style, certificate, None, str(error), time.monotonic() - started, REJECTED)
        return REJECTED
    line.clear()
    code = _code(report)
    seconds = time.monotonic() - started
    wrong = None if code == REJECTED else _wrong(certificate, data, statement, code)
    if wrong is not None:
        show(style, certificate, None, wrong, seconds, REJECTED)
        return REJECTED
    if isinstance(report, CheckReport):
        show(style, certificate, report, "", seconds, code)
    else:
        from absint.report.decoding.check import show as show_decoding

        show_decoding(style, certificate, data, report, seconds, code)
    return code


def _wrong(certificate: Path, data: bytes, statement: Path | None, code: int) -> str | None:
    """Why the statement about a certificate that holds is not right. Raises InputError."""
    from absint.report import statement as statements
    from absint.search.result import Verdict

    path = statement or statements.path_beside(certificate)
    if statement is None and not path.exists():
        return None
    verdict = Verdict.VERIFIED if code == ACCEPTED else Verdict.UNKNOWN
    try:
        statements.require(files.read(path, "statement", statements.MAX_SIZE), data, verdict.value)
    except statements.StatementError as error:
        return f"the statement {path}: {error}"
    return None
