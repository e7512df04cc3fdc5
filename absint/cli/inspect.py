"""``absint inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from absint.cli.options import SETTINGS, output_format, path_option
from absint.report import files

UNSUPPORTED = 4


@click.command(
    context_settings=SETTINGS,
    epilog="Exit code: 0 supported, 4 not (everything that is not is listed), 2 wrong input.",
)
@click.argument("model", type=click.Path(path_type=Path))
@path_option("--graph", help="Write the lowered graph here, for `python -m absint.proofs`.")
@path_option(
    "--region",
    help="A spec with 'decode': its decode graphs are shown and written, one a length of prompt.",
)
@click.option("--untrusted", is_flag=True, help="Refuse a MODEL whose loading executes code.")
@output_format()
def command(
    model: Path, graph: Path | None, region: Path | None, untrusted: bool, style: str
) -> int:
    """Show what a model holds and everything in it that is not supported.

    MODEL is an ONNX file (also .onnx.gz), of which nothing is run; or in PyTorch a saved .pt2 file
    or package.module:factory, whose own code is.
    """
    from absint.frontends.models import inspect
    from absint.ir import to_bytes
    from absint.ir.serialize import MAGIC
    from absint.report.inspection import show

    if region is not None:
        from absint.cli import decoding

        return decoding.inspect(model, region, graph, not untrusted, style)
    if graph is not None:
        files.require_writable(graph, [MAGIC])
    found = inspect(model, trusted=not untrusted)
    if graph is not None and found.graph is not None:
        files.write(graph, to_bytes(found.graph))
    show(style, found)
    return 0 if found.graph is not None else UNSUPPORTED
