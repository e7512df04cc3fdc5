"""Options that several commands share."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FORMATS = ("text", "json")
MAX_JOBS = 1024
MIN_MEMORY, MAX_MEMORY = 1 << 20, 1 << 50
MAX_SECONDS = 1e9
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIMES = {"": 1, "s": 1, "m": 60, "h": 3600}
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def converted(parse: Callable[[str], Any]) -> Callable[..., Any]:
    """An option's callback: its text through ``parse``, whose ValueError becomes a usage error."""

    def convert(context: click.Context, parameter: click.Parameter, value: str) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from error

    return convert


def size(text: str) -> int:
    """Bytes, as in ``512M`` or ``8G``. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?)(?:i?B)?\s*", text, re.I)
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 512M or 8G")
    value = int(float(match.group(1)) * _UNITS[match.group(2).upper()])
    if not MIN_MEMORY <= value <= MAX_MEMORY:
        raise ValueError(f"{text!r} is not between 1M and 1024T; write 512M or 8G")
    return value


def seconds(text: str) -> float:
    """The time that ``text`` says. Raises ValueError."""
    match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?\d+)?)\s*([smh]?)\s*", text, re.I)
    try:
        value = float(match.group(1)) * _TIMES[match.group(2).lower()] if match else math.nan
    except ValueError:
        value = math.nan
    if not 0 < value <= MAX_SECONDS:
        raise ValueError(f"{text!r} is not a time above zero such as 90, 1.5, 5m or 2h")
    return value


def cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def semantics() -> Decorator:
    return click.option(
        "--semantics", type=click.Choice(("real", "float32")),
        help="What the network means, where the spec does not say (VNN-LIB cannot).",
    )  # fmt: skip


def output_format() -> Decorator:
    return click.option(
        "--format", "style", type=click.Choice(FORMATS), default="text", show_default=True,
        help="What to print on stdout; json is one document, also for errors.",
    )  # fmt: skip


def jobs() -> Decorator:
    return click.option(
        "--jobs", type=click.IntRange(1, MAX_JOBS), default=cores(), metavar="N",
        help="How many cores to use.  [default: all cores]",
    )  # fmt: skip


def path_option(*names: str, **kwargs: Any) -> Decorator:
    return click.option(*names, type=click.Path(path_type=Path), **kwargs)
