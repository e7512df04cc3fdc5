"""``absint explain``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from absint.cli.options import SETTINGS, path_option
from absint.problem import InputError
from absint.problem.decode import DecodeProblem
from absint.proofs.format import Certificate, CertificateError
from absint.report import files

FORMATS = ("text", "svg", "html")
MAGIC = {"svg": b"<svg", "html": b"<!doctype html>", "text": b""}

EPILOG = """\b
Exit code: 0 explained; 2 the certificate is wrong, or is not about a network that decodes.
The rules of the proof are checked on the way, its bounds are not: `absint check` does that.
"""


@click.command(epilog=EPILOG, context_settings=SETTINGS)
@click.argument("certificate", type=click.Path(path_type=Path))
@click.option(
    "--format", "style", type=click.Choice(FORMATS), default="text", show_default=True,
    help="Text; a picture of the states step by step; or a page with both.",
)  # fmt: skip
@path_option("--output", help="Where to write it.  [default: stdout]")
def command(certificate: Path, style: str, output: Path | None) -> int:
    """Show the proof about a network that decodes: its states, and what each stands for.

    CERTIFICATE is what `absint verify` wrote for a spec with `decode`. Every state is a set of
    prompts with a text that was written after them; the ways on from it say which token of which
    slot was looked at, what the network writes then, and in which state that ends.
    """
    from absint.report.explain.proof import read

    data = files.read(certificate, "certificate")
    if output is not None:
        files.require_writable(output, [MAGIC[style]])
    try:
        claim = Certificate.from_bytes(data)
        if not isinstance(claim.problem, DecodeProblem):
            raise InputError("is about a region of numbers; see absint plot", str(certificate))
        proofs = read(claim)
    except CertificateError as error:
        raise InputError(str(error), str(certificate)) from error
    if style == "svg":
        from absint.report.explain.picture import draw

        text = draw(proofs)
    elif style == "html":
        from absint.report.explain.page import page

        text = page(proofs)
    else:
        from absint.report.explain.text import explain

        text = "\n".join(explain(proofs)) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        files.write(output, text.encode())
    return 0
