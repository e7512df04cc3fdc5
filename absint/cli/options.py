"""Options that several commands share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FORMATS = ("text", "json")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Size(click.ParamType):
    """Bytes, as in ``512M`` or ``8G``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?", str(value).strip(), re.I)
        if match is None:
            self.fail(f"{value!r} is not a size such as 512M or 8G", param, ctx)
        return int(float(match.group(1)) * _UNITS[match.group(2).upper()])


def cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def output_format() -> Decorator:
    return click.option(
        "--format", "style", type=click.Choice(FORMATS), default="text", show_default=True,
        help="What to print on stdout.",
    )  # fmt: skip


def jobs() -> Decorator:
    return click.option(
        "--jobs", type=click.IntRange(min=1), default=cores(), show_default="all cores",
        help="How many cores to use.",
    )  # fmt: skip


def path_option(*names: str, **kwargs: Any) -> Decorator:
    return click.option(*names, type=click.Path(path_type=Path), **kwargs)
