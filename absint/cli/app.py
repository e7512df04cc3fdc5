"""The command group. A command's module is imported when the command is asked for."""

from __future__ import annotations

import difflib
import importlib

import click

from absint import __version__
from absint.cli.options import SETTINGS

COMMANDS = {
    "verify": "Prove that no input of a region is catastrophic, or find one that is.",
    "check": "Re-check a certificate without trusting the search that wrote it.",
    "inspect": "Show what a model holds and what is not supported; runs nothing.",
    "replay": "Run a saved counterexample again on the real runtime.",
    "explain": "Show the proof about a network that decodes, state by state.",
    "plot": "Draw a 2-D slice of a certificate's partition, coloured by verdict.",
}

EPILOG = """\b
Exit codes:
    0  verified; check: accepted; replay: no catastrophe
    1  falsified; check: rejected; replay: a catastrophe again
    2  a file, spec or option is wrong
    3  unknown; check: incomplete (parts are open)
    4  the model or the spec holds something that is not supported
   70  internal error (ABSINT_TRACEBACK=1 shows where)
  130  interrupted (143: terminated; 141: stdout was closed)
`absint COMMAND --help` says more. Specs are described in docs/spec.md, the rest in docs/cli.md.
"""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"No such command {name!r}: {hint}", ctx)
        module = importlib.import_module(f"absint.cli.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_LazyGroup, epilog=EPILOG, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="absint")
def app() -> None:
    """A formal verifier for neural networks.

    \b
      absint verify model.onnx --region spec.yaml
      absint check spec.cert --model model.onnx --region spec.yaml

    The first proves that no input of the region reaches the catastrophe, shows a real one that
    does, or says what is open. A proof is written as a certificate; the second re-checks it.
    """
