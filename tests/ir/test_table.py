"""The op table: every row is complete, and rejects what does not fit it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from irmodels import AFFINE, Case, conv
from jointmodels import JOINT, MASK

from absint.ir import OPS, Constant, Curved, GraphBuilder, PiecewiseLinear, ShapeError, Steps, Wave
from absint.ir.graph import Attribute

UNIVARIATE = [row.name for row in OPS.values() if row.univariate is not None]
ATTRIBUTES: dict[str, dict[str, Attribute]] = {
    "leaky_relu": {"alpha": 0.25},
    "clip": {"lower": -math.inf, "upper": 1.0},
    "elu": {"alpha": 1.0},
    "power": {"exponent": 2},
}


def attempt(
    op: str,
    shapes: Sequence[tuple[int, ...]],
    attrs: Mapping[str, Attribute] | None = None,
    consts: Mapping[str, Constant] | None = None,
) -> tuple[int, ...]:
    """The shape of one node on inputs of the given shapes."""
    builder = GraphBuilder()
    inputs = [builder.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    return builder.shape(builder.add(op, inputs, attrs=attrs, consts=consts))


def constants(case: Case) -> dict[str, Constant]:
    return {name: Constant(value) for name, value in case.consts.items()}


def test_every_row_has_one_meaning_and_a_case_here() -> None:
    for name, row in OPS.items():
        assert row.name == name
        kinds = (row.affine, row.univariate, row.joint)
        assert sum(kind is not None for kind in kinds) == (name != "input")
    cases = {case.op for case in (*AFFINE, *JOINT)}
    assert cases | set(UNIVARIATE) | {"input"} == set(OPS)


@pytest.mark.parametrize("case", [*AFFINE, *JOINT], ids=lambda case: case.name)
class TestAffineAndJointRows:
    def test_rejects_an_attribute_that_is_missing_unknown_or_of_another_type(
        self, case: Case
    ) -> None:
        shapes, consts = list(case.in_shapes), constants(case)
        for name in case.attrs:
            rest = {k: v for k, v in case.attrs.items() if k != name}
            number = math.nan if name in ("epsilon", "scale") else 1.5
            for wrong in (rest, {**rest, name: number}, {**rest, name: (5,) * 9}):
                with pytest.raises(ShapeError):
                    attempt(case.op, shapes, wrong, consts)
        with pytest.raises(ShapeError):
            attempt(case.op, shapes, {**case.attrs, "typo": 1}, consts)

    def test_rejects_a_constant_that_is_missing_unknown_or_of_another_shape(
        self, case: Case
    ) -> None:
        shapes, consts = list(case.in_shapes), constants(case)
        for name in OPS[case.op].constants:
            with pytest.raises(ShapeError):
                attempt(case.op, shapes, case.attrs, {k: v for k, v in consts.items() if k != name})
        for name in consts:
            if name not in ("index", "mask"):
                wrong = {**consts, name: Constant(np.ones((7, 5, 2, 3, 3, 3, 2)))}
                with pytest.raises(ShapeError):
                    attempt(case.op, shapes, case.attrs, wrong)
        with pytest.raises(ShapeError):
            attempt(case.op, shapes, case.attrs, {**consts, "typo": Constant(np.ones(1))})

    def test_rejects_a_constant_of_another_kind(self, case: Case) -> None:
        for name, value in case.consts.items():
            other = value.astype(np.float64 if name in ("index", "mask") else np.int64)
            with pytest.raises(ShapeError):
                attempt(
                    case.op,
                    list(case.in_shapes),
                    case.attrs,
                    {**constants(case), name: Constant(other)},
                )

    def test_rejects_a_wrong_number_of_operands(self, case: Case) -> None:
        with pytest.raises(ShapeError):
            attempt(case.op, [], case.attrs, constants(case))
        with pytest.raises(ShapeError):
            attempt(case.op, [*case.in_shapes, (5, 7)], case.attrs, constants(case))


HEADS: dict[str, Attribute] = {"heads": 2, "kv_heads": 1, "scale": 1.0}
NORM: dict[str, Attribute] = {"axes": 1, "centered": 1, "epsilon": 0.1}


@pytest.mark.parametrize("op", UNIVARIATE)
class TestUnivariateRows:
    def test_keeps_the_shape(self, op: str) -> None:
        assert attempt(op, [(2, 3)], ATTRIBUTES.get(op)) == (2, 3)
        assert attempt(op, [()], ATTRIBUTES.get(op)) == ()

    def test_rejects_operands_attributes_and_constants_that_do_not_fit(self, op: str) -> None:
        attrs = ATTRIBUTES.get(op, {})
        for shapes in ([], [(2,), (2,)]):
            with pytest.raises(ShapeError):
                attempt(op, shapes, attrs)
        with pytest.raises(ShapeError):
            attempt(op, [(2,)], {**attrs, "typo": 1})
        with pytest.raises(ShapeError):
            attempt(op, [(2,)], attrs, {"weight": Constant(np.ones(2))})
        for name in attrs:
            for wrong in (float("nan"), float("inf"), (1,)):
                with pytest.raises(ShapeError):
                    attempt(op, [(2,)], {**attrs, name: wrong})
            with pytest.raises(ShapeError):
                attempt(op, [(2,)], {})

    def test_facts_are_of_a_known_shape(self, op: str) -> None:
        case = Case(op, op, ((2,),), ATTRIBUTES.get(op, {}))
        univariate = OPS[op].univariate
        assert univariate is not None
        facts = univariate.facts(case.node())
        if isinstance(facts, PiecewiseLinear):
            assert len(facts.knots) == len(facts.values) == len(facts.slopes) - 1 > 0
            assert list(facts.knots) == sorted(set(facts.knots))
        elif isinstance(facts, Curved):
            assert len(facts.convex) == len(facts.bends) + 1
            assert list(facts.bends) == sorted(set(facts.bends))
        else:
            assert isinstance(facts, Wave | Steps)


REFUSED = {
    "dense on another width": Case("", "dense", ((1, 3),), {}, {"weight": np.ones((2, 2))}),
    "dense on a scalar": Case("", "dense", ((),), {}, {"weight": np.ones((1, 1))}),
    "dense to nothing": Case("", "dense", ((2,),), {}, {"weight": np.ones((2, 0))}),
    "dense with three axes": Case("", "dense", ((2,),), {}, {"weight": np.ones((2, 2, 1))}),
    "bias too long": Case(
        "", "dense", ((2,),), {}, {"weight": np.ones((2, 1)), "bias": np.ones(2)}
    ),
    "bias with too many axes": Case(
        "", "dense", ((2,),), {}, {"weight": np.ones((2, 1)), "bias": np.ones((1, 1))}
    ),
    "empty bias": Case("", "dense", ((2,),), {}, {"weight": np.ones((2, 1)), "bias": np.ones(0)}),
    "conv without space": Case(
        "", "conv", ((1, 2),), conv("", (1, 2, 1), (1, 2, 1)).attrs, {"weight": np.ones((1, 2))}
    ),
    "conv kernel too large": conv("", (1, 1, 3), (1, 1, 4)),
    "conv dilated kernel too large": conv("", (1, 1, 3), (1, 1, 2), dilations=(3,)),
    "conv empty kernel": conv("", (1, 1, 3), (1, 1, 0)),
    "conv without outputs": conv("", (1, 1, 3), (0, 1, 1)),
    "conv without inputs": conv("", (1, 1, 3), (1, 0, 1)),
    "conv groups do not divide inputs": conv("", (1, 3, 3), (2, 1, 1), groups=2),
    "conv groups do not divide outputs": conv("", (1, 2, 3), (3, 1, 1), groups=2),
    "conv no groups": conv("", (1, 2, 3), (2, 1, 1), groups=0),
    "conv negative groups": conv("", (1, 2, 3), (2, 1, 1), groups=-2),
    "conv stride zero": conv("", (1, 1, 3), (1, 1, 1), strides=(0,)),
    "conv dilation zero": conv("", (1, 1, 3), (1, 1, 2), dilations=(0,)),
    "conv negative pad": conv("", (1, 1, 3), (1, 1, 1), pads=(-1, 0)),
    "conv pads for another rank": conv("", (1, 1, 3), (1, 1, 1), pads=(0, 0, 0, 0)),
    "scale weight too large": Case("", "scale", ((1, 3),), {}, {"weight": np.ones((2, 3))}),
    "scale weight with more axes": Case("", "scale", ((3,),), {}, {"weight": np.ones((1, 3))}),
    "scale empty weight": Case("", "scale", ((1,),), {}, {"weight": np.ones(0)}),
    "reshape to another size": Case("", "reshape", ((2, 3),), {"shape": (5,)}),
    "reshape to negative sizes": Case("", "reshape", ((2, 3),), {"shape": (-2, -3)}),
    "gather past the end": Case("", "gather", ((3,),), {}, {"index": np.array([3])}),
    "gather before -1": Case("", "gather", ((3,),), {}, {"index": np.array([-2])}),
    "gather nothing": Case("", "gather", ((3,),), {}, {"index": np.zeros((0,), dtype=int)}),
    "sum of different shapes": Case("", "sum", ((2,), (1, 2)), {"coefficients": (1, 1)}),
    "sum with a coefficient too few": Case("", "sum", ((2,), (2,)), {"coefficients": (1,)}),
    "sum with another coefficient": Case("", "sum", ((2,), (2,)), {"coefficients": (1, 2)}),
    "concat past the axes": Case("", "concat", ((2,), (2,)), {"axis": 1}),
    "concat with a negative axis": Case("", "concat", ((2,), (2,)), {"axis": -1}),
    "concat of what does not line up": Case("", "concat", ((2, 2), (3, 2)), {"axis": 1}),
    "concat of different ranks": Case("", "concat", ((2,), (2, 2)), {"axis": 0}),
    "clip to one value": Case("", "clip", ((2,),), {"lower": 1.0, "upper": 1.0}),
    "clip to nothing": Case("", "clip", ((2,),), {"lower": 1.0, "upper": -1.0}),
    "clip at no end": Case("", "clip", ((2,),), {"lower": -math.inf, "upper": math.inf}),
    "clip above infinity": Case("", "clip", ((2,),), {"lower": math.inf, "upper": math.inf}),
    "power of one": Case("", "power", ((2,),), {"exponent": 1}),
    "power beyond all floats": Case("", "power", ((2,),), {"exponent": 10**6}),
    "embedding of a table with three axes": Case(
        "", "embedding", ((2,),), {}, {"weight": np.ones((2, 2, 1))}
    ),
    "embedding of an empty table": Case("", "embedding", ((2,),), {}, {"weight": np.ones((2, 0))}),
    "mul of what does not broadcast": Case("", "mul", ((2,), (3,))),
    "matmul of a vector": Case("", "matmul", ((2, 3), (3,))),
    "matmul of sizes apart": Case("", "matmul", ((2, 3), (2, 3))),
    "matmul of stacks apart": Case("", "matmul", ((2, 2, 3), (3, 3, 2))),
    "softmax of a scalar": Case("", "softmax", ((),)),
    "softmax with a mask of another shape": Case("", "softmax", ((3,),), {}, {"mask": MASK}),
    "softmax with a mask of twos": Case("", "softmax", ((3, 3),), {}, {"mask": 2 * MASK}),
    "softmax with an empty row": Case("", "softmax", ((3, 3),), {}, {"mask": 0 * MASK}),
    "normalize over no axis": Case("", "normalize", ((2,),), {**NORM, "axes": 0}),
    "normalize over too many axes": Case("", "normalize", ((2,),), {**NORM, "axes": 2}),
    "normalize centred twice": Case("", "normalize", ((2,),), {**NORM, "centered": 2}),
    "normalize with a negative epsilon": Case("", "normalize", ((2,),), {**NORM, "epsilon": -0.1}),
    "attend without values": Case("", "attend", ((2,), (1,)), HEADS),
    "attend with a value too few": Case("", "attend", ((2,), (1,), (1,), (1,)), HEADS),
    "attend with matrices": Case("", "attend", ((1, 2), (1, 1), (1, 1)), HEADS),
    "attend with keys of several sizes": Case("", "attend", ((2,), (1,), (2,), (1,), (1,)), HEADS),
    "attend with a key of another size": Case("", "attend", ((2,), (2,), (1,)), HEADS),
    "attend with a query that is no heads": Case("", "attend", ((3,), (1,), (1,)), HEADS),
    "attend with a value that is no heads": Case(
        "", "attend", ((4,), (4,), (3,)), {**HEADS, "kv_heads": 2}
    ),
    "attend with heads that share unevenly": Case(
        "", "attend", ((6,), (4,), (2,)), {**HEADS, "heads": 3, "kv_heads": 2}
    ),
    "attend without heads": Case("", "attend", ((2,), (1,), (1,)), {**HEADS, "heads": 0}),
    "argmax of a scalar": Case("", "argmax", ((),)),
    "an input as an operation": Case("", "input", ((2,),)),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_degenerate_nodes_raise_shape_error(case: Case) -> None:
    with pytest.raises(ShapeError):
        case.graph()


def test_an_unknown_op_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        attempt("unknown", [(2,)])
