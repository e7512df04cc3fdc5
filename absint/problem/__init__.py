"""Problems in exact numbers: regions, catastrophes, and the semantics contract."""

from absint.problem.canonical import digest, from_json, to_json
from absint.problem.canonical_decode import decode_digest, decode_from_json, decode_to_json
from absint.problem.errors import AbsintError, InputError, Unsupported, UnsupportedError
from absint.problem.exact import float_text, parse_number, round_all, round_to
from absint.problem.problem import (
    Box,
    Cell,
    Conjunction,
    LinearConstraint,
    Meaning,
    Problem,
    ProblemError,
    Semantics,
    constraint,
    violated,
)

__all__ = [
    "AbsintError",
    "Box",
    "Cell",
    "Conjunction",
    "InputError",
    "LinearConstraint",
    "Meaning",
    "Problem",
    "ProblemError",
    "Semantics",
    "Unsupported",
    "UnsupportedError",
    "constraint",
    "decode_digest",
    "decode_from_json",
    "decode_to_json",
    "digest",
    "float_text",
    "from_json",
    "parse_number",
    "round_all",
    "round_to",
    "to_json",
    "violated",
]
