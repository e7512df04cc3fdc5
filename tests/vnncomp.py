"""The public benchmarks that some tests need: a folder ``shared/vnncomp`` beside the repository."""

from __future__ import annotations

import csv
import gzip
import os
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def find() -> Path | None:
    """The benchmarks' folder, or None where it is missing."""
    folder = REPOSITORY.parent / "shared" / "vnncomp"
    return folder if folder.is_dir() else None


def root() -> Path:
    """The benchmarks' folder. Where it is missing the test is skipped, but fails if CI=true."""
    folder = find()
    if folder is None:
        reason = "the benchmarks of shared/vnncomp are not here"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason, allow_module_level=True)
    return folder


def models() -> list[str]:
    """Every model file, relative to ``root`` and without ``.gz``; empty where it is missing."""
    folder = find()
    if folder is None:
        return []
    found = folder.glob("*/onnx/**/*.onnx*")
    return sorted(str(path.relative_to(folder)).removesuffix(".gz") for path in found)


def properties(model: str) -> list[str]:
    """The VNN-LIB files that instances pair with a model, relative to ``root``."""
    folder, name = model.split("/", 1)
    with (root() / folder / "instances.csv").open(newline="") as file:
        return [f"{folder}/{row['vnnlib']}" for row in csv.DictReader(file) if row["onnx"] == name]


_BOUND = re.compile(r"\((<=|>=)\s+X_(\d+)\s+([-+0-9.eE]+)\s*\)")


def hull(vnnlib: str) -> tuple[list[float], list[float]]:
    """The smallest box around all bounds on single inputs in a VNN-LIB file, (lower, upper)."""
    with gzip.open(root() / f"{vnnlib}.gz", "rt") as file:
        text = file.read()
    lower: dict[int, float] = {}
    upper: dict[int, float] = {}
    for relation, index, value in _BOUND.findall(text):
        i, number = int(index), float(value)
        if relation == "<=":
            upper[i] = max(upper.get(i, number), number)
        else:
            lower[i] = min(lower.get(i, number), number)
    return [lower[i] for i in sorted(lower)], [upper[i] for i in sorted(upper)]
