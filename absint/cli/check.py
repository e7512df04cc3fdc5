"""``absint check``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from absint import api
from absint.cli import files
from absint.cli.options import jobs, output_format, path_option
from absint.cli.progress import ProgressLine
from absint.proofs.format import CertificateError

ACCEPTED, REJECTED, INCOMPLETE = 0, 1, 3


@click.command(
    epilog="Exit code: 0 accepted, 1 rejected, 3 incomplete (parts are open), 2 wrong input."
)
@click.argument("certificate", type=click.Path(path_type=Path))
@path_option("--model", required=True, help="The ONNX file that the certificate must be about.")
@path_option("--region", required=True, help="The spec that it must be about.")
@jobs()
@output_format()
def command(certificate: Path, model: Path, region: Path, jobs: int, style: str) -> int:
    """Re-check a certificate without trusting the search that wrote it.

    The model is lowered and the spec is read anew; every bound is recomputed in rigorous float64,
    and the splits must cover the region. No code of the model is run.
    """
    from absint.report.check import show

    started, line = time.monotonic(), ProgressLine(certificate.name)
    data = files.read(certificate, "certificate")
    try:
        report = api.check(data, model, region, jobs=jobs, progress=line.check)
    except CertificateError as error:
        line.clear()
        show(style, certificate, None, str(error), time.monotonic() - started)
        return REJECTED
    line.clear()
    show(style, certificate, report, "", time.monotonic() - started)
    return ACCEPTED if report.accepted else REJECTED if report.rejected else INCOMPLETE
