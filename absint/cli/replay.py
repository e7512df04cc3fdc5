"""``absint replay``."""

from __future__ import annotations

from pathlib import Path

import click

from absint.api import load
from absint.cli.options import SETTINGS, output_format, path_option

SAFE, CATASTROPHE, UNDECIDED = 0, 1, 3

EPILOG = """\b
Exit code: 1 the catastrophe happens again; 0 it does not; 3 only with the runtime's default
optimisations, which do not count as the model as written; 2 a file is wrong, or of another model
or spec (see --changed); 4 not supported; 130 interrupted.
"""


@click.command(epilog=EPILOG, context_settings=SETTINGS)
@click.argument("counterexample", type=click.Path(path_type=Path))
@path_option("--model", required=True, help="The ONNX file that it is about.")
@path_option("--region", required=True, help="The spec that it is about.")
@click.option(
    "--changed",
    is_flag=True,
    help="Model or spec have changed since, and that is why it is replayed: to see whether a "
    "retrained model still fails. Otherwise another model or spec is an error.",
)
@output_format()
def command(counterexample: Path, model: Path, region: Path, changed: bool, style: str) -> int:
    """Run a saved counterexample again on the runtime, and hold the outputs against the spec.

    COUNTEREXAMPLE is what `absint verify --counterexample` wrote. It runs twice: with graph
    optimisations off (the model as written, which counts) and with the runtime's defaults. A prompt
    of a network that decodes is decoded token by token (or by the network, where it is the loop).
    """
    from absint.frontends.spec.decode import is_decode_spec
    from absint.report import counterexample as saved_files
    from absint.report.replay import replay, show

    if is_decode_spec(region):
        from absint.cli import decoding

        return decoding.replay(counterexample, model, region, changed, style)
    saved = saved_files.load(counterexample)
    outcome = replay(load(model, region, semantics=saved.meaning), saved, changed)
    code = UNDECIDED if outcome.found.catastrophic_default else SAFE
    code = CATASTROPHE if outcome.found.catastrophic else code
    show(style, outcome, code)
    return code
