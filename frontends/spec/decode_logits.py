"""Linear conditions on the logits of a step of a network that decodes, and on its detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from absint.frontends.spec.affine import Affine
from absint.frontends.spec.decode_match import Words
from absint.frontends.spec.expression import parse_formula
from absint.frontends.spec.formula import And, negate
from absint.frontends.spec.formula import Formula as Linear
from absint.frontends.spec.names import Names, Side, Target
from absint.frontends.spec.tokens import ExpressionError
from absint.frontends.spec.tree import Node, Scalar
from absint.problem import LinearConstraint
from absint.problem.decode import All, Formula, Not, Probe, Probed, Some

LOGITS = ("logits", "y")
"""What all logits together are called, for ``logits[5]``."""
MAX_PROBES = 10_000


def read_logits(node: Node, step: Node, words: Words, steps: int, probes: list[Probe]) -> Formula:
    """A condition on the logits of a step, of ``any`` or of ``each`` step that is taken.

    ``probes`` grows by the constraints that it needs, each once. Raises InputError.
    """
    tokens = {name: token for token, name in enumerate(words.vocabulary.names)}
    linear = _linear(node, words, _Numbers("logit", LOGITS, tokens))
    word = words.leaves.text(step, "step") if isinstance(step, Scalar) else ""
    if word in ("any", "each"):
        # Nothing holds at a step that is not taken, so "each" is: at none does the opposite hold.
        asked = linear if word == "any" else negate(linear)
        found = Some(tuple(_at(asked, t, probes, node, words) for t in range(steps)))
        return found if word == "any" else Not(found)
    number = words.leaves.integer(step, "step")
    if not 1 <= number <= steps:
        raise words.leaves.source.error(f"step: from 1 to {steps}, or any, or each", step)
    return _at(linear, number - 1, probes, node, words)


def read_detected(
    node: Node, words: Words, detector: Sequence[str], probes: list[Probe]
) -> Formula:
    """A condition on what the detector says of the finished text; else as ``read_logits``."""
    if not detector:
        raise words.leaves.source.error("there is no detector: 'detector' under 'decode'", node)
    outputs = {name: place for place, name in enumerate(detector)}
    linear = _linear(node, words, _Numbers("output of the detector", ("output", "y"), outputs))
    return _at(linear, None, probes, node, words)


@dataclass(frozen=True)
class _Numbers:
    """What a comparison speaks of: one of them, all of them, and the name of each."""

    one: str
    whole: Sequence[str]
    names: Mapping[str, int]


def _linear(node: Node, words: Words, numbers: _Numbers) -> Linear:
    whole = Target("output", 0, (len(numbers.names),))
    targets = dict.fromkeys(numbers.whole, whole)
    targets |= {name: Target("output", place, ()) for name, place in numbers.names.items()}
    text = words.leaves.text(node, f"a condition on a {numbers.one}")
    try:
        linear = parse_formula(text, Names(targets, (whole,)), _variable)
    except ExpressionError as error:
        raise words.leaves.source.error(str(error), node, error.offset) from error
    if not _speaks(linear):
        raise words.leaves.source.error(f"this speaks of no {numbers.one}", node)
    return linear


def _variable(side: Side, index: int) -> Affine:
    return Affine(outputs={index: Fraction(1)})


def _speaks(linear: Linear) -> bool:
    """Whether every comparison in it speaks of a logit."""
    if isinstance(linear, LinearConstraint):
        return bool(linear.outputs)
    return bool(linear.parts) and all(map(_speaks, linear.parts))


def _at(linear: Linear, step: int | None, probes: list[Probe], node: Node, words: Words) -> Formula:
    if not isinstance(linear, LinearConstraint):
        parts = tuple(_at(part, step, probes, node, words) for part in linear.parts)
        return All(parts) if isinstance(linear, And) else Some(parts)
    probe = Probe(linear, step)
    if probe not in probes:
        probes.append(probe)
    if len(probes) > MAX_PROBES:
        raise words.leaves.source.error(f"more than {MAX_PROBES} comparisons of numbers", node)
    return Probed(probes.index(probe))
