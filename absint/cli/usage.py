"""What is wrong with the options, in one line."""

from __future__ import annotations

from collections.abc import Sequence

import click


def describe(error: click.ClickException) -> str:
    """``verify: no such option '--timout'; … (see absint verify --help)``."""
    message = error.format_message().strip().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return message
    _, _, command = context.command_path.partition(" ")
    if "extra argument" in message and any(p.name == "region" for p in context.command.params):
        message += "; a spec goes after --region"
    return f"{command}: {message} (see {context.command_path} --help)".removeprefix(": ")


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether ``--format json`` was given, read without the parser: it may be what failed."""
    style = ""
    for index, argument in enumerate(arguments):
        if argument == "--format" and index + 1 < len(arguments):
            style = arguments[index + 1]
        elif argument.startswith("--format="):
            style = argument.removeprefix("--format=")
    return style == "json"
