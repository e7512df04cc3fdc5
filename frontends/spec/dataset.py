"""Dataset mode: one property for each row of an array of inputs."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from absint.frontends.spec.arrays import exact, read_array
from absint.frontends.spec.catastrophe import KEYS as CONDITION_KEYS
from absint.frontends.spec.catastrophe import read_catastrophe
from absint.frontends.spec.context import Context
from absint.frontends.spec.problems import build_problem
from absint.frontends.spec.region import around, finish
from absint.frontends.spec.tree import Items, Node, Scalar
from absint.frontends.spec.types import DatasetInfo, DatasetRow
from absint.problem import Conjunction, Problem

KEYS = ("center", "labels", "eps", "norm", "clip", "rows")
_DEFAULT = "argmax is label"
_Centers = Callable[[int], list[Fraction]]


def read_dataset(top: dict[str, Node], context: Context) -> tuple[tuple[Problem, ...], DatasetInfo]:
    """The problems ``row-0``, ``row-1`` … of ``dataset``. Raises InputError."""
    node = top["dataset"]
    fields = context.leaves.fields(node, "dataset", KEYS)
    if "center" not in fields:
        raise context.source.error("dataset needs 'center'", node)
    count, center = _centers(fields["center"], context)
    rows = _rows(fields["rows"], count, context) if "rows" in fields else list(range(count))
    labels = _labels(fields["labels"], count, context) if "labels" in fields else None
    key, condition = _condition(top, fields, context)
    known: dict[int | None, tuple[Conjunction, ...]] = {}
    problems: list[Problem] = []
    info: list[DatasetRow] = []
    for row in rows:
        label = labels[row] if labels is not None else None
        if label not in known:
            known[label] = read_catastrophe(key, condition, context, label)
        context.count_values(node)
        middle = center(row)
        ranges = around(middle, fields, fields["center"], context)
        part = finish(ranges, (), fields["center"], context)
        name = f"row-{row}"
        problems.append(build_problem(name, [part], known[label], fields["center"], context))
        info.append(DatasetRow(name, row, label, context.scale.to_network(middle)))
    return tuple(problems), DatasetInfo(tuple(info))


def _centers(node: Node, context: Context) -> tuple[int, _Centers]:
    """How many rows there are, and the values of each: an array file, or a list of lists."""
    leaves, size = context.leaves, context.graph.input_size
    reference = leaves.reference(node)
    if reference is None:
        items = leaves.items(node, "center")
        for item in items:
            if not isinstance(item, Items):
                raise context.source.error("center is an array file or a list of rows", item)
        return len(items), lambda row: leaves.vector(items[row], f"row {row}", size)
    try:
        array = read_array(reference, context.leaves.files)
    except ValueError as error:
        raise context.source.error(str(error), node) from error
    if array.ndim < 2 or array.shape[0] == 0 or array[0].size != size:
        raise context.source.error(
            f"center has the shape {list(array.shape)}: the first dimension counts rows, "
            f"the others hold {size} inputs",
            node,
        )
    return len(array), lambda row: exact(array[row])


def _labels(node: Node, count: int, context: Context) -> list[int]:
    """The labels, one a row."""
    values = context.leaves.numbers(node, "labels")
    if len(values) != count:
        raise context.source.error(f"{len(values)} labels for {count} rows", node)
    for value in values:
        if value.denominator != 1 or value < 0:
            raise context.source.error(f"a label is an integer from 0 up, not {value}", node)
    return [int(value) for value in values]


def _rows(node: Node, count: int, context: Context) -> list[int]:
    """``7``, ``0..99``, or a list of these."""
    items = (node,) if isinstance(node, Scalar) else context.leaves.items(node, "rows")
    rows: list[int] = []
    for item in items:
        first, dots, last = context.leaves.text(item, "rows").partition("..")
        ends = [
            context.leaves.integer(Scalar(item.start, end.strip()), "a row")
            for end in ((first, last) if dots else (first, first))
        ]
        if ends[0] > ends[1] or ends[1] >= count:
            raise context.source.error(f"rows are ranges within 0..{count - 1}", item)
        rows += range(ends[0], ends[1] + 1)
        if len(rows) > count:
            break
    if len(set(rows)) != len(rows):
        raise context.source.error("a row is named twice", node)
    return rows


def _condition(top: dict[str, Node], fields: dict[str, Node], context: Context) -> tuple[str, Node]:
    """The spec's condition; that the argmax is the label, where it gives none."""
    keys = [key for key in CONDITION_KEYS if key in top]
    if len(keys) > 1:
        raise context.source.error("give 'never' or 'always', one of them", top[keys[1]])
    if keys:
        return keys[0], top[keys[0]]
    if "labels" not in fields:
        raise context.source.error("dataset needs 'labels', or a condition", top["dataset"])
    return "always", Scalar(fields["labels"].start, _DEFAULT)
