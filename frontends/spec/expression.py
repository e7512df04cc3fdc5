"""The spec's expressions: text to formulas, with the column of every mistake.

Grammar, loosest binding first::

    expression = conjunction {"or" conjunction}
    conjunction = negation {"and" negation}
    negation   = "not" negation | comparison
    comparison = value "is" ["not"] ("maximal" | "minimal")
               | ("argmax" | "argmin") ["(" value ")"] choice
               | sum {relation sum}
    choice     = "is" ["not"] label | ["not"] "in" "[" label {"," label} "]"
    relation   = "<" | "<=" | ">" | ">=" | "==" | "!="
    sum        = term {("+" | "-") term}
    term       = factor {("*" | "/") factor}
    factor     = ["-" | "+"] (number | value | "(" expression ")")
    value      = (name | '"' text '"') ["[" index "]"]
    index      = integer {"," integer} | integer ".." integer
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from absint.frontends.spec.affine import Affine, argmax_is, compare, is_maximal
from absint.frontends.spec.formula import And, Formula, Or, negate
from absint.frontends.spec.names import Names, Side
from absint.frontends.spec.tokens import ExpressionError, Selection, Token, Tokens, tokenize
from absint.problem import parse_number

MAX_DEPTH = 64
_RELATIONS = {"<", "<=", ">", ">=", "==", "!=", "≤", "≥", "≠"}
_ASCII = {"≤": "<=", "≥": ">=", "≠": "!="}


_Variable = Callable[[Side, int], Affine]


@dataclass
class _Parser(Tokens):
    variable: _Variable = field(kw_only=True)
    label: int | None = field(kw_only=True)
    depth: int = 0

    def expression(self) -> Affine | Formula:
        return self._joined("or", Or, lambda: self._joined("and", And, self._negation))

    def _joined(
        self, word: str, join: type[And] | type[Or], part: Callable[[], Affine | Formula]
    ) -> Affine | Formula:
        start = self.here
        first = part()
        if self.here.text != word:
            return first
        parts = [self._formula(first, start)]
        while self.accept(word):
            start = self.here
            parts.append(self._formula(part(), start))
        return join(tuple(parts))

    def _negation(self) -> Affine | Formula:
        flips = 0
        while self.accept("not"):
            flips += 1
        start = self.here
        value = self._comparison()
        if flips == 0:
            return value
        formula = self._formula(value, start)
        return negate(formula) if flips % 2 else formula

    def _comparison(self) -> Affine | Formula:
        if token := self.accept("argmax", "argmin"):
            return self._argmax(token)
        maximal = self._maximal()
        if maximal is not None:
            return maximal
        start = self.here
        left = self._sum()
        if self.here.text not in _RELATIONS:
            return left
        links: list[Formula] = []
        while self.here.text in _RELATIONS:
            operator = self.take().text
            self._affine(left, start)
            start = self.here
            right = self._affine(self._sum(), start)
            links.append(compare(self._affine(left, start), _ASCII.get(operator, operator), right))
            left = right
        return links[0] if len(links) == 1 else And(tuple(links))

    def _maximal(self) -> Formula | None:
        """``value is [not] maximal``; None, and nothing read, where that does not stand here."""
        if not self.here.is_name:
            return None
        begin = self.position
        chosen = self.selection()
        if not self.accept("is"):
            self.position = begin
            return None
        label = self._one(chosen, "output")
        inverted = self.accept("not") is not None
        word = self.accept("maximal", "minimal")
        if word is None:
            raise ExpressionError(
                f"expected 'maximal' or 'minimal', found {self.here}", self.here.offset
            )
        sign = 1 if word.text == "maximal" else -1
        formula = is_maximal(self._group(label, chosen.token), label, sign)
        return negate(formula) if inverted else formula

    def _argmax(self, word: Token) -> Formula:
        if self.accept("("):
            chosen = self.selection()
            if chosen.side != "output":
                raise ExpressionError(f"{chosen.token} is not an output", chosen.token.offset)
            self.expect(")")
            group = chosen.values
        else:
            group = self._group(None, word)
        sign = 1 if word.text == "argmax" else -1
        if self.accept("is"):
            inverted = self.accept("not") is not None
            labels = [self._label(group)]
        else:
            inverted = self.accept("not") is not None
            if not self.accept("in"):
                raise ExpressionError(f"expected 'is' or 'in', found {self.here}", self.here.offset)
            labels = self._labels(group)
        formula = Or(tuple(argmax_is(group, label, sign) for label in labels))
        return negate(formula) if inverted else formula

    def _labels(self, group: range) -> list[int]:
        self.expect("[")
        labels = [self._label(group)]
        while self.accept(","):
            labels.append(self._label(group))
        self.expect("]")
        return labels

    def _label(self, group: range) -> int:
        token = self.here
        if self.accept("label"):
            if self.label is None:
                raise ExpressionError("'label' needs a dataset with labels", token.offset)
            position = group.start + self.label
        elif token.kind == "number":
            position = group.start + self.integer()
        else:
            position = self._one(self.selection(), "output")
        if position not in group:
            raise ExpressionError(
                f"label {position - group.start} is not in 0..{len(group) - 1}", token.offset
            )
        return position

    def _group(self, member: int | None, token: Token) -> range:
        """The output vector in which ``member`` competes; the only one where None."""
        targets = [t for t in self.names.outputs if member is None or member in t.values]
        if len(targets) != 1 or sum(size > 1 for size in targets[0].shape) > 1:
            raise ExpressionError(
                "the outputs are not one vector; write argmax(name) or argmax(output[a..b])",
                token.offset,
            )
        return targets[0].values

    def _one(self, chosen: Selection, side: Side | None = None) -> int:
        if len(chosen.values) != 1:
            raise ExpressionError(
                f"{chosen.token} has {len(chosen.values)} values; choose one by an index",
                chosen.token.offset,
            )
        if side is not None and chosen.side != side:
            raise ExpressionError(f"{chosen.token} is not an {side}", chosen.token.offset)
        return chosen.values.start

    def _sum(self) -> Affine | Formula:
        start = self.here
        total = self._term()
        while operator := self.accept("+", "-"):
            left = self._affine(total, start)
            start = self.here
            right = self._affine(self._term(), start)
            total = left.plus(right if operator.text == "+" else right.times(Fraction(-1)))
        return total

    def _term(self) -> Affine | Formula:
        start = self.here
        total = self._factor()
        while operator := self.accept("*", "/"):
            left = self._affine(total, start)
            start = self.here
            right = self._affine(self._factor(), start)
            try:
                total = _scaled(left, operator, right)
            except ValueError as error:
                raise ExpressionError(str(error), operator.offset) from error
        return total

    def _factor(self) -> Affine | Formula:
        negative = False
        while sign := self.accept("-", "+"):
            negative ^= sign.text == "-"
        start = self.here
        value = self._atom()
        if negative:
            return self._affine(value, start).times(Fraction(-1))
        return value

    def _atom(self) -> Affine | Formula:
        token = self.here
        if token.kind == "number":
            self.take()
            try:
                return Affine(constant=parse_number(token.text))
            except ValueError as error:
                raise ExpressionError(str(error), token.offset) from error
        if self.accept("("):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ExpressionError(f"nested more than {MAX_DEPTH} deep", token.offset)
            value = self.expression()
            self.expect(")")
            self.depth -= 1
            return value
        if not token.is_name:
            raise ExpressionError(f"expected a value, found {token}", token.offset)
        chosen = self.selection()
        return self.variable(chosen.side, self._one(chosen))

    def _affine(self, value: Affine | Formula, start: Token) -> Affine:
        if not isinstance(value, Affine):
            raise ExpressionError("a number is expected here, not a condition", start.offset)
        return value

    def _formula(self, value: Affine | Formula, start: Token) -> Formula:
        if isinstance(value, Affine):
            raise ExpressionError("a comparison is expected here", start.offset)
        return value

    def whole(self) -> Formula:
        start = self.here
        value = self.expression()
        self.end()
        return self._formula(value, start)


def _scaled(left: Affine, operator: Token, right: Affine) -> Affine:
    if operator.text == "/":
        if not right.is_constant:
            raise ValueError("not linear: a division by a variable")
        if right.constant == 0:
            raise ValueError("division by zero")
        return left.times(1 / right.constant)
    if right.is_constant:
        return left.times(right.constant)
    if left.is_constant:
        return right.times(left.constant)
    raise ValueError("not linear: a product of two variables")


def parse_formula(
    text: str, names: Names, variable: _Variable, label: int | None = None
) -> Formula:
    """Reads an expression. ``variable`` gives each value of the network as an affine expression.

    Raises:
        ExpressionError: with the offset of the offending token.
    """
    return _Parser(names, tokenize(text), variable=variable, label=label).whole()
