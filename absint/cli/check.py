"""``absint check``."""

from __future__ import annotations

import time
from dataclasses import dataclass
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
    from absint.proofs.exact.check import ExactReport

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
    help="Instead of CERTIFICATE: a CSV file of the boxes, or of the phases of neurons, "
    "that another tool has verified. Every bound is recomputed, and whether they cover the region.",
)
@click.option("--property", "name", help="With --leaves: which of the spec's properties.")
@path_option("--keep", help="With --leaves: write what was confirmed as a certificate of ours.")
@click.option(
    "--exact", is_flag=True, help="Compute the leaves once more, in rationals: slow, no rounding."
)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --exact: only N leaves, drawn at random (--seed).",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Of --sample.")
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
    exact: bool,
    sample: int | None,
    seed: int,
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
    asked = _Asked(model, region, semantics, jobs, style)
    if certificate is None:
        assert leaves is not None
        if exact or statement is not None:
            raise click.UsageError("--exact and --statement need a CERTIFICATE", context)
        return _leaves(asked, leaves, name, keep)
    if name is not None or keep is not None:
        raise click.UsageError("--property and --keep need --leaves", context)
    if sample is not None and not exact:
        raise click.UsageError("--sample needs --exact", context)
    return _certificate(asked, certificate, statement, Again(sample, seed) if exact else None)


@dataclass(frozen=True)
class _Asked:
    """What is checked against which files."""

    model: Path
    region: Path
    semantics: Meaning | None
    jobs: int
    style: str


def _leaves(asked: _Asked, leaves: Path, name: str | None, keep: Path | None) -> int:
    from absint.cli.leaves import check_leaves
    from absint.report.listed import show

    started = time.monotonic()
    found = check_leaves(leaves, asked.model, asked.region, name, keep, asked.semantics, asked.jobs)
    code = _code(found.report)
    show(asked.style, leaves, found, keep, time.monotonic() - started, code)
    return code


def _code(report: CheckReport | DecodeReport) -> int:
    return ACCEPTED if report.accepted else REJECTED if report.rejected else INCOMPLETE


def _certificate(
    asked: _Asked, certificate: Path, statement: Path | None, again: Again | None
) -> int:
    from absint.report.check import show

    started, line = time.monotonic(), ProgressLine(certificate.name)
    data, exact = files.read(certificate, "certificate"), None
    try:
        report = api.check(
            data,
            asked.model,
            asked.region,
            jobs=asked.jobs,
            progress=line.check,
            semantics=asked.semantics,
        )
        code = _code(report)
        if again is not None and code != REJECTED:
            exact = again.run(data, asked.model, line)
    except CertificateError as error:
        line.clear()
        seconds = time.monotonic() - started
        show(asked.style, certificate, None, str(error), seconds, REJECTED)
        return REJECTED
    line.clear()
    seconds = time.monotonic() - started
    wrong = None if code == REJECTED else _wrong(certificate, data, statement, code)
    if exact is not None and exact.failed:
        wrong = "leaf {1} of cell {0} does not hold in rationals".format(*exact.failed[0])
    if wrong is not None:
        show(asked.style, certificate, None, wrong, seconds, REJECTED)
        return REJECTED
    if isinstance(report, CheckReport):
        show(asked.style, certificate, report, "", seconds, code, exact)
    else:
        from absint.report.decoding.check import show as show_decoding

        show_decoding(asked.style, certificate, data, report, seconds, code)
    return code


@dataclass(frozen=True)
class Again:
    """``--exact``: which leaves are computed once more."""

    sample: int | None
    seed: int

    def run(self, data: bytes, model: Path, line: ProgressLine) -> ExactReport:
        """Of a certificate that was checked. Raises CertificateError."""
        from absint.frontends.models import load
        from absint.proofs.exact.check import recheck
        from absint.proofs.format import Certificate

        graph = load(model, trusted=False).graph
        return recheck(Certificate.from_bytes(data), graph, self.sample, self.seed, line.check)


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
