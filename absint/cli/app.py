"""The command group. A command's module is imported when the command is asked for."""

from __future__ import annotations

import importlib

import click

import absint

COMMANDS = {
    "verify": "Prove that no input of a region is catastrophic, or find one that is.",
    "check": "Re-check a certificate without trusting the search that wrote it.",
    "inspect": "Show what a model holds and what is not supported; runs nothing.",
    "replay": "Run a saved counterexample again on the real runtime.",
    "plot": "Draw a 2-D slice of a certificate's partition, coloured by verdict.",
}

EPILOG = """\b
Exit codes: 0 verified (check: accepted), 1 falsified (check: rejected),
2 wrong file, spec or option, 3 unknown (check: incomplete),
4 not supported, 70 internal error, 130 interrupted.
"""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"absint.cli.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_LazyGroup, epilog=EPILOG, context_settings={"max_content_width": 100})
@click.version_option(absint.__version__, prog_name="absint")
def app() -> None:
    """A formal verifier for neural networks.

    \b
    absint verify model.onnx --region spec.yaml
    absint check spec.cert --model model.onnx --region spec.yaml

    The first proves that no input of the region reaches the catastrophe, shows a real one that
    does, or says what is open. A proof is written as a certificate; the second re-checks it.
    """
