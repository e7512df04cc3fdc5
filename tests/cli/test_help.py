"""Help, and docs/cli.md, know every command and option."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from cli.problems import Run

from absint.cli.app import COMMANDS, app

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text()


def options(name: str) -> list[str]:
    command = app.get_command(click.Context(app), name)
    assert command is not None
    return [
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_docs_name_every_option(name: str, run: Run) -> None:
    outcome = run(name, "-h")
    assert (outcome.code, outcome.err) == (0, "")
    assert run(name, "--help").out == outcome.out
    section = re.search(rf"^## {name}\n(.*?)(^## (?!verify --)|\Z)", DOCS, re.M | re.S)
    assert section is not None
    for option in options(name):
        assert option in outcome.out
        assert re.search(rf"`{option}\b", section[1]), (name, option)


def test_docs_state_the_defaults() -> None:
    command = app.get_command(click.Context(app), "verify")
    assert command is not None
    for parameter in command.params:
        if parameter.name in ("timeout", "memory", "seed", "device"):
            assert f"`--{parameter.name}" in DOCS
            row = next(line for line in DOCS.splitlines() if f"`--{parameter.name} " in line)
            assert row.split("|")[2].strip() == str(parameter.default)


def test_every_command_states_its_exit_codes(run: Run) -> None:
    for name in COMMANDS:
        assert "Exit code" in run(name, "-h").out


def test_a_bare_absint_is_its_help(run: Run) -> None:
    bare = run()
    assert (bare.code, bare.err) == (0, "")
    assert all(name in bare.out for name in COMMANDS)
    assert bare.out == run("--help").out == run("-h").out
    assert run("--version").out.startswith("absint, version ")
