"""The float type of a network's inputs, and what the network means."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from absint.ir import Graph
from absint.problem import Meaning, Unsupported, UnsupportedError
from absint.problem.exact import Dtype

if TYPE_CHECKING:
    from absint.frontends.spec.tree import Node
    from absint.frontends.spec.values import Leaves

FLOAT_MAX = {
    "float32": Fraction((2**24 - 1) * 2**104),
    "float64": Fraction((2**53 - 1) * 2**971),
}
"""The largest finite value of each input type; bounds beyond it are errors."""


def meaning(dtype: Dtype, asked: Meaning | None) -> Meaning:
    """What is asked for, or the default: what runs, where there is a contract for it.

    Raises UnsupportedError where float32 is asked for of another type.
    """
    if asked == "float32" != dtype:
        what = f"semantics float32 of a network whose inputs are {dtype}"
        raise UnsupportedError([Unsupported("the spec", what, "'semantics: real' is")])
    return asked or ("float32" if dtype == "float32" else "real")


def input_dtype(graph: Graph) -> Dtype:
    """The dtype of the network's inputs. Raises UnsupportedError unless it is one float type."""
    found = {port.dtype for port in graph.inputs}
    if found == {"float32"}:
        return "float32"
    if found == {"float64"}:
        return "float64"
    listed = ", ".join(f"{port.name}: {port.dtype}" for port in graph.inputs)
    hint = "all float32 or all float64 are"
    if found <= {"int32", "int64"}:
        hint += "; a network that reads tokens needs a spec with 'decode'"
    raise UnsupportedError([Unsupported("the model's inputs", listed, hint)])


def read_meaning(node: Node | None, leaves: Leaves, dtype: Dtype, asked: Meaning | None) -> Meaning:
    """What the spec says of a network of this type, or else is asked for, or the default.

    Raises InputError and UnsupportedError.
    """
    if node is None:
        return meaning(dtype, asked)
    word = leaves.choice(node, "semantics", ("real", "float32"))
    stated: Meaning = "float32" if word == "float32" else "real"
    if asked not in (None, stated):
        raise leaves.source.error(f"the spec says {stated}, which is not to be {asked}", node)
    if stated == "float32" != dtype:
        raise leaves.source.unsupported(
            f"semantics float32 of a network whose inputs are {dtype}", node, "'semantics: real' is"
        )
    return meaning(dtype, stated)
