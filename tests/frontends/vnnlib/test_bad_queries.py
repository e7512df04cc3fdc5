"""Wrong and unsupported queries: one line each, with the exact line and column."""

import re
from pathlib import Path

import pytest

from absint.frontends.spec import read
from absint.ir import Graph, Port
from absint.problem import AbsintError, InputError, UnsupportedError

GRAPH = Graph((), (Port("in", 0, (1, 1)),), (Port("out", 1, (1, 2)),))
HEAD = "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n(declare-const Y_1 Real)\n"
BOX = "(assert (and (>= X_0 0) (<= X_0 1)))\n"
NETWORK = "(vnnlib-version <2.0>)\n(declare-network n (declare-input X Real [1])"
WHOLE = NETWORK + " (declare-output Y Real [2]))\n"

BAD = [
    ("", "1:1: 0 variables X_i declared, but the network has 1 inputs"),
    (HEAD + BOX + "(assert (<= Y_0 1)", "5:1: this '(' is not closed"),
    (HEAD + BOX + "(assert (<= Y_0 1)))", "5:20: unmatched ')'"),
    (HEAD + "assert", "4:1: expected '(', found 'assert'"),
    (HEAD + BOX + "(assert (<= Y_0 1) (<= Y_1 1))", "5:1: assert takes one formula"),
    (HEAD + BOX + "(assert Y_0)", "5:9: expected a formula"),
    (HEAD + BOX + "(assert (<= Y_0 1 2))", "5:9: <= compares two values, not 3"),
    (HEAD + BOX + "(assert (<= Y_2 1))", "5:13: Y_2 is not declared"),
    (HEAD + BOX + "(assert (<= Y_0 $))", "5:17: '$' is neither a number nor a variable"),
    (HEAD + BOX + "(assert (<= Y_0 1.2.3))", "5:17: not a number: '1.2.3'"),
    (HEAD + BOX + "(assert (<= Y_0 1e999999999))", "5:17: exponent out of range"),
    (HEAD + BOX + "(assert (<= Y_0 1/2))", "5:17: not a number: '1/2'"),
    (HEAD + BOX + "(assert (<= Y_0 (*" + " 1e999" * 80 + ")))",
     "5:9: a number is out of range"),
    (HEAD + BOX + "(assert (<= Y_0 (+)))", "5:17: + of no values"),
    (HEAD + BOX + "(assert (or))", "5:9: or of 0 formulas"),
    (HEAD + BOX + "(assert (not (<= Y_0 1) (<= Y_1 1)))", "5:9: not of 2 formulas"),
    (HEAD + BOX + "(assert (<= Y_0 ]))", "5:17: unmatched ']'"),
    (HEAD + BOX + "(assert (<= [1] 2))", "5:13: an index without a name"),
    (HEAD + BOX, "1:1: no assertion speaks of an output"),
    (HEAD, "1:1: no assertion"),
    (HEAD + "(assert (>= X_0 0))\n(assert (<= Y_0 1))", "1:16: X_0 has no upper bound"),
    (HEAD + "(assert (>= X_0 0))\n(assert (< X_0 1e39))\n(assert (<= Y_0 1))",
     "1:16: X_0: a bound does not fit float32"),
    (HEAD + "(assert (>= X_0 1))\n(assert (<= X_0 0))\n(assert (<= Y_0 1))",
     "5:1: empty region: X_0 has lower bound 1 and upper bound 0"),
    (HEAD + BOX + "(assert (or (and (>= X_0 2) (<= Y_0 1)) (and (<= X_0 -1) (<= Y_0 1))))",
     "1:1: empty region: the bounds of every disjunct contradict each other"),
    (HEAD + BOX + "(assert (<= Y_0 1))\n(assert (> Y_0 1))",
     "1:1: the catastrophe cannot happen: the assertions contradict each other"),
    (HEAD + "(declare-const Y_1 Real)", "4:16: Y_1 is declared twice"),
    (HEAD + "(declare-const Y_2 Real)\n" + BOX, "4:16: 3 variables Y_i declared, but the network"),
    (HEAD.replace("Y_1", "Y_7") + BOX, "3:16: 2 variables Y_i declared, but the network has 2"),
    (HEAD + "(declare-const Y_2)", "4:1: expected (declare-const NAME Real)"),
    (HEAD + BOX + "(assert " + " ".join(["(and"] * 3)
     + "(or (<= Y_0 0) (<= Y_1 0) (<= Y_0 Y_1))" * 12 + "))))",
     "1:1: the condition expands to more"),
    ("(" * 200, "1:101: nested more than 100 deep"),
    ("(vnnlib-version two)", "1:1: expected (vnnlib-version <2.0>)"),
    (NETWORK + ")", "2:1: 0 outputs declared, but the network has 1"),
    (NETWORK + " (declare-output Y Real [3]))",
     "2:65: output out has the shape [1, 2], not [3]"),
    (NETWORK + " (declare-output Y float64 [2]))", "2:65: output out is float32, not float64"),
    (NETWORK + " (declare-output X Real [2]))", "2:63: X is declared twice"),
    (NETWORK + " (declare-output Y Real))", "2:65: expected a type and a shape"),
    (NETWORK + " (declare-output Y Real [2]) (declare-input Z Real [1]))",
     "2:75: inputs are declared before outputs"),
    (WHOLE + "(declare-const X_0 Real)", "3:1: declare-const beside declare-network"),
    (HEAD + WHOLE.split("\n")[1], "4:1: declare-network beside declare-const"),
    (WHOLE + "(assert (<= Y[2] 1))", "3:13: index 2 is not in 0..1"),
    (WHOLE + "(assert (<= Y[0,0] 1))", "3:13: Y has 1 dimensions, not 2"),
    (WHOLE + "(assert (<= Y 1))", "3:13: Y has 1 dimensions, not 0"),
    (WHOLE + "(assert (<= Z[0] 1))", "3:13: Z is not declared"),
    (WHOLE + "(assert (and (<= Y[0] 1) (>= X[0] 0)))", "2:35: X[0] has no upper bound"),
]  # fmt: skip

UNSUPPORTED = [
    (HEAD + "(set-logic QF_LRA)", "4:1: command 'set-logic'"),
    (HEAD + "(assert (=> (<= Y_0 1) (<= Y_1 1)))", "4:9: connective '=>'"),
    (HEAD + "(assert (<= (* Y_0 Y_1) 1))", "4:13: a product of variables (linear terms are)"),
    (HEAD + "(assert (<= (/ Y_0 2) 1))", "4:13: function '/'"),
    ("(declare-const X_0 Int)", "1:20: type Int (Real is)"),
    ("(declare-const Z_0 Real)", "1:16: variable Z_0 (X_i and Y_j are)"),
    ("(vnnlib-version <3.0>)", "1:1: VNN-LIB 3.0 (1.0 and 2.x are)"),
    (WHOLE + WHOLE.split("\n")[1], "3:1: several networks (one is)"),
    (NETWORK + ' (declare-hidden H Real [1] "h"))', '2:74: string "h"'),
    (NETWORK + " (declare-hidden H Real [1] h))", "2:47: declare-hidden"),
    (NETWORK.replace("[1]", "[1] initialized") + ")", "2:46: initialized"),
    (NETWORK.replace("Real", "int8") + ")", "2:37: type int8"),
    ("(declare-network n (equal-to m))", "1:20: equal-to"),
    ("(declare-network n (isomorphic-to m))", "1:20: isomorphic-to"),
]


@pytest.mark.parametrize(("text", "expected"), BAD, ids=[e.split(": ")[0] for _, e in BAD])
def test_wrong(text: str, expected: str, tmp_path: Path) -> None:
    _check(text, expected, InputError, tmp_path)


@pytest.mark.parametrize(("text", "expected"), UNSUPPORTED)
def test_not_supported(text: str, expected: str, tmp_path: Path) -> None:
    _check(text, expected, UnsupportedError, tmp_path)


def _check(text: str, expected: str, kind: type[AbsintError], folder: Path) -> None:
    path = folder / "p.vnnlib"
    path.write_text(text)
    with pytest.raises(kind, match=re.escape(f"{path}:{expected}")) as caught:
        read(path, GRAPH)
    assert "\n" not in str(caught.value)


def test_places_survive_byte_order_mark_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "p.vnnlib"
    text = HEAD.replace("\n", "\r\n") + BOX + "(assert (<= Y_9 1))"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    with pytest.raises(InputError, match=r":5:13: Y_9 is not declared"):
        read(path, GRAPH)
