"""The canonical JSON form of a problem, and its digest. Fractions are written ``"p/q"``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar

from absint.problem.problem import (
    Box,
    Cell,
    LinearConstraint,
    Problem,
    ProblemError,
    Semantics,
    Term,
)

_NUMBER = re.compile(r"-?[0-9]+(/[1-9][0-9]*)?")


def to_json(problem: Problem) -> bytes:
    """Canonical bytes: sorted keys, no spaces. Raises ProblemError for a number of many digits."""
    try:
        data = _problem(problem)
    except ValueError as error:  # Python's limit on the digits of an integer
        raise ProblemError(f"{problem.name}: a number has too many digits") from error
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def digest(problem: Problem) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(to_json(problem)).hexdigest()


def from_json(data: bytes) -> Problem:
    """Reads a problem back. Raises ProblemError."""
    return read_back(data, _read, to_json, "problem")


Read = TypeVar("Read")


def read_back(
    data: bytes, read: Callable[[Any], Read], write: Callable[[Read], bytes], what: str
) -> Read:
    """What ``read`` makes of JSON. Raises ProblemError, also where ``write`` writes it otherwise.

    ``read`` may trust nothing and need not say what is wrong with its data.
    """
    try:
        problem = read(json.loads(data))
        canonical = write(problem) == data
    except ProblemError:
        raise
    except (
        KeyError,
        ValueError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ProblemError(f"not a well-formed {what}: {error}") from error
    if not canonical:
        raise ProblemError(f"the {what} is not in canonical form")
    return problem


def write_semantics(semantics: Semantics) -> dict[str, str]:
    """What the network means, with the digest of the contract where there is one."""
    data: dict[str, str] = {
        "name": semantics.name,
        "dtype": semantics.dtype,
        "inputs": semantics.inputs,
    }
    contract = semantics.contract
    return data if contract is None else data | {"contract": contract.digest()}


def read_semantics(data: dict[str, Any]) -> Semantics:
    """Raises ProblemError, also for a contract that is not this version's."""
    stated = data.get("contract")
    semantics = Semantics(**{name: data[name] for name in data if name != "contract"})
    known = (("real", "float32"), ("float32", "float64"), ("rounded", "representable"))
    values = (semantics.name, semantics.dtype, semantics.inputs)
    if not all(value in words for value, words in zip(values, known, strict=True)):
        raise ProblemError(f"unknown semantics {data}")
    if semantics.name == "float32" and semantics.dtype != "float32":
        raise ProblemError(f"semantics float32 of a network of {semantics.dtype}")
    if stated is not None and write_semantics(semantics).get("contract") != stated:
        raise ProblemError("semantics of another contract than this version's")
    return semantics


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "name": problem.name,
        "input_size": problem.input_size,
        "output_size": problem.output_size,
        "semantics": write_semantics(problem.semantics),
        "cells": [
            {
                "lower": [str(v) for v in cell.box.lower],
                "upper": [str(v) for v in cell.box.upper],
                "constraints": [row_to_json(c) for c in cell.constraints],
                "catastrophe": [[row_to_json(c) for c in row] for row in cell.catastrophe],
            }
            for cell in problem.cells
        ],
    }


def row_to_json(row: LinearConstraint) -> list[Any]:
    """Terms of inputs, terms of outputs, bound, whether strict. Raises ValueError: many digits."""
    return [_terms(row.inputs), _terms(row.outputs), str(row.bound), row.strict]


def _terms(terms: tuple[Term, ...]) -> list[list[Any]]:
    return [[index, str(coefficient)] for index, coefficient in terms]


def _read(data: dict[str, Any]) -> Problem:
    sizes = (data["input_size"], data["output_size"])
    if not isinstance(data["name"], str) or any(type(size) is not int for size in sizes):
        raise ValueError("the name must be text and the sizes whole numbers")
    semantics = read_semantics(data["semantics"])
    cells = tuple(
        Cell(
            Box(
                tuple(_number(v) for v in cell["lower"]),
                tuple(_number(v) for v in cell["upper"]),
            ),
            tuple(tuple(read_row(c) for c in row) for row in cell["catastrophe"]),
            tuple(read_row(c) for c in cell["constraints"]),
        )
        for cell in data["cells"]
    )
    return Problem(data["name"], data["input_size"], data["output_size"], cells, semantics)


def read_row(row: list[Any]) -> LinearConstraint:
    """What ``row_to_json`` wrote. Raises ValueError and TypeError."""
    inputs, outputs, bound, strict = row
    return LinearConstraint(_read_terms(inputs), _read_terms(outputs), _number(bound), bool(strict))


def _read_terms(terms: list[Any]) -> tuple[Term, ...]:
    return tuple((int(index), _number(coefficient)) for index, coefficient in terms)


def _number(text: Any) -> Fraction:
    """``p`` or ``p/q``: no exponents, which could make a short text a number of any size."""
    if not isinstance(text, str) or _NUMBER.fullmatch(text) is None:
        raise ValueError(f"not a number in canonical form: {str(text)[:20]!r}")
    return Fraction(text)
