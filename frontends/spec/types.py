"""What a spec file gives: named problems in exact numbers, and what reports need beside them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from absint.problem import Problem

if TYPE_CHECKING:
    from absint.frontends.spec.scale import Scale


@dataclass(frozen=True)
class DatasetRow:
    """One row of a dataset: its property's name, its position and its label (None: no labels).

    ``center`` is what the array holds, in the network's units: (input_size,).
    """

    property: str
    row: int
    label: int | None
    center: tuple[Fraction, ...]


@dataclass(frozen=True)
class DatasetInfo:
    """The rows of a dataset in the order of the spec's properties, one property each."""

    rows: tuple[DatasetRow, ...]


@dataclass(frozen=True)
class Sources:
    """For display: the spec's path, the files it refers to, and names for single values."""

    path: str
    files: tuple[str, ...] = ()
    """Relative to the spec's folder, sorted."""
    input_names: tuple[str, ...] | None = None
    """A name for each value of the flat input vector, if the spec gives names."""
    output_names: tuple[str, ...] | None = None
    scale: Scale | None = None
    """From the units of the spec to the network's; None: they are the same."""


@dataclass(frozen=True)
class Spec:
    """All problems of one file. Their names are distinct."""

    properties: tuple[Problem, ...]
    digest: str
    """SHA-256 in hexadecimal; see ``absint.frontends.spec.files.digest``."""
    sources: Sources
    dataset: DatasetInfo | None = None
