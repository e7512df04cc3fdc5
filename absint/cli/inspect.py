"""``absint inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from absint.cli.options import SETTINGS, output_format, path_option

UNSUPPORTED = 4


@click.command(
    context_settings=SETTINGS,
    epilog="Exit code: 0 supported, 4 not (everything that is not is listed), 2 wrong input.",
)
@click.argument("model", type=click.Path(path_type=Path))
@path_option("--graph", help="Write the lowered graph here, for `python -m absint.proofs`.")
@click.option("--ir", is_flag=True, help="Print the lowered graph, one node a line.")
@click.option("--constants", is_flag=True, help="With --ir: every number, so that it reads back.")
@path_option("--picture", help="Draw the lowered graph here, as SVG.")
@path_option(
    "--region",
    help="A spec with 'decode': its decode graphs are shown and written, one a length of prompt.",
)
@click.option("--untrusted", is_flag=True, help="Refuse a MODEL whose loading executes code.")
@output_format()
def command(
    model: Path,
    graph: Path | None,
    ir: bool,
    constants: bool,
    picture: Path | None,
    region: Path | None,
    untrusted: bool,
    style: str,
) -> int:
    """Show what a model holds and everything in it that is not supported.

    MODEL is an ONNX file (also .onnx.gz), of which nothing is run; or in PyTorch a saved .pt2 file
    or package.module:factory, whose own code is.
    """
    from absint.frontends.models import inspect
    from absint.report.inspection import show
    from absint.report.view import View

    if constants and not ir:
        raise click.UsageError("--constants goes with --ir")
    view = View(style, ir, constants, graph, picture)
    if region is not None:
        from absint.cli import decoding

        return decoding.inspect(model, region, view, not untrusted)
    view.require_writable()
    found = inspect(model, trusted=not untrusted)
    if found.graph is not None:
        view.write(found.graph)
    show(view, found)
    return 0 if found.graph is not None else UNSUPPORTED
